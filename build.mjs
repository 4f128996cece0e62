// Builds dist/: one CommonJS file for each function, because SCF loads it with require() from the root of the zip.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 12)) {
  console.error(`Node 20.12 or newer is needed; this is ${process.versions.node}.`)
  process.exit(1)
}

// Imported only here, so that an old Node prints the line above and not a syntax error from a dependency.
const { build } = await import('esbuild')
const { lean } = await import('./lean.mjs')
const { licences } = await import('./licences.mjs')
const { place } = await import('./place.mjs')
const { mkdir, readFile } = await import('node:fs/promises')
const { fileURLToPath } = await import('node:url')

/** What the functions use and Node 18.15 lacks; here and not in the sources, which run on Node 20. */
const OLDER =
  '{let c=require("crypto");c.hash??=(a,d)=>c.createHash(a).update(d).digest("hex");URL.canParse??=u=>{try{return!!new URL(u)}catch{}}}'

const dist = new URL('dist/', import.meta.url)
await mkdir(dist, { recursive: true })
const root = fileURLToPath(new URL('.', import.meta.url))
const { metafile, outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: { upload: 'functions/upload/index.ts', image: 'functions/image/index.ts' },
  outdir: fileURLToPath(dist),
  bundle: true,
  minify: true,
  platform: 'node',
  format: 'cjs',
  // The oldest runtime that `cos-goods-matting deploy` falls back to.
  target: 'node18',
  banner: { js: `"use strict";${OLDER}` },
  logLevel: 'warning',
  metafile: true,
  write: false,
  plugins: [lean],
})
/** @param {string} name */
const file = (name) => fileURLToPath(new URL(name, dist))
await place(file('package.json'), '{ "type": "commonjs" }\n')
const own = await readFile(new URL('LICENSE', import.meta.url), 'utf8')
await place(file('LICENSES.txt'), `${own}\n${await licences(metafile, root)}`)
for (const { path, contents } of outputFiles) await place(path, contents)
