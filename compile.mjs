// Compiles build/: the package's doors and the command as JavaScript. What is deployed is dist/, which build.mjs makes.

import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { bundlePage } from './page.mjs'

const root = new URL('.', import.meta.url)
const command = new URL('build/command.mjs', root)

/** Compiles everything. Each file appears whole, for two processes may do this at the same time. */
export async function compile() {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(root),
    entryPoints: {
      index: 'index.ts',
      cloud: 'cloud.ts',
      command: 'cli/main.ts',
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
  for (const [name, contents] of Object.entries(page)) {
    const path = fileURLToPath(new URL(`build/page/${name}`, root))
    await writeFile(`${path}.${process.pid}`, contents)
    await rename(`${path}.${process.pid}`, path)
  }
  // The command last: its time tells whether all is new.
  const last = fileURLToPath(command)
  for (const { path, contents } of outputFiles.sort((a, b) => Number(a.path === last) - Number(b.path === last))) {
    await writeFile(`${path}.${process.pid}`, contents)
    await rename(`${path}.${process.pid}`, path)
  }
}

/** Whether a source is newer than the compiled command. A package has no sources, so there it never is. */
export function isStale() {
  const changed = (/** @type {URL} */ file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const built = changed(command)
  const folders = ['cli/', 'lib/', 'lib/pay/'].map((name) => new URL(name, root))
  if (changed(new URL('cli/main.ts', root)) === 0) return false
  const files = folders.flatMap((folder) => [folder, ...readdirSync(folder).map((name) => new URL(name, folder))])
  return [...files, new URL('package-lock.json', root), new URL(import.meta.url)].some((file) => changed(file) > built)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await compile()
