// Compiles build/: the package's doors, the command and what `npm start` runs as JavaScript. What is deployed is dist/, which
// build.mjs makes.

import { mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundlePage } from './page.mjs'
import { place } from './place.mjs'

const root = new URL('.', import.meta.url)
const command = new URL('build/command.mjs', root)

/** Compiles everything. Each file appears whole, for two processes may do this at the same time. @returns the files' names */
export async function compile() {
  // Looked at before they are read: what is saved meanwhile makes the next start compile again.
  const newest = new Date(newestSource())
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(root),
    entryPoints: {
      index: 'index.ts',
      cloud: 'cloud.ts',
      command: 'cli/main.ts',
      start: 'local/main.ts',
      // Threads begin with these.
      boot: 'local/matte/worker.ts',
      instance: 'local/scf/instance.mjs',
    },
    outdir: 'build',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
    write: false,
  })
  const page = {
    'page.js': await bundlePage('main.ts'),
    'page.css': await bundlePage('page.css'),
    'index.html': await readFile(new URL('local/page/index.html', root)),
  }
  mkdirSync(new URL('build/page/', root), { recursive: true })
  for (const [name, contents] of Object.entries(page))
    await place(fileURLToPath(new URL(`build/page/${name}`, root)), contents)
  // The command last: its time, which is that of the newest source, tells whether all is new.
  const last = fileURLToPath(command)
  for (const { path, contents } of outputFiles.sort((a, b) => Number(a.path === last) - Number(b.path === last)))
    await place(path, contents, newest)
  return ['page', ...outputFiles.map(({ path }) => basename(path))]
}

/** Whether the sources are not those that the compiled command was made of. A package has no sources, so there they always are. */
export function isStale() {
  return changed(new URL('cli/main.ts', root)) > 0 && newestSource() !== changed(command)
}

/** When the newest source of the command was changed. A folder changes when a file in it is removed or replaced. */
function newestSource() {
  const folders = ['cli/', 'lib/', 'lib/pay/'].map((name) => new URL(name, root))
  const files = folders.flatMap((folder) => [folder, ...readdirSync(folder).map((name) => new URL(name, folder))])
  return Math.max(...[...files, new URL('package-lock.json', root), new URL(import.meta.url)].map(changed))
}

/** In whole milliseconds, which is what can be set; 0 if the file is missing. @param {URL} file */
function changed(file) {
  return Math.round(statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)
}

// By its real name, for a clone may be reached through a link.
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const made = new Set(await compile())
  // Only where a package is prepared: what is running may still load what an older build has.
  const folder = fileURLToPath(new URL('build/', root))
  const old = process.argv.includes('--clean') ? (await readdir(folder)).filter((name) => !made.has(name)) : []
  for (const name of old) await rm(join(folder, name), { recursive: true })
}
