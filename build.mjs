// Builds dist/: one CommonJS file per function, because SCF loads the entry with require() from the root of the zip.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 12)) {
  console.error(`Node 20.12 or newer is needed; this is ${process.versions.node}.`)
  process.exit(1)
}

// Imported late, so that an old Node gets the line above and not a syntax error from a dependency.
const { build } = await import('esbuild')
const { mkdir, rm, writeFile } = await import('node:fs/promises')
const { fileURLToPath } = await import('node:url')

const dist = new URL('dist/', import.meta.url)
await rm(dist, { recursive: true, force: true })
await mkdir(dist)
/** What the XML parser never asks for. is-unsafe labels its patterns when it is loaded, so none of them is left out by itself. */
const unused = {
  name: 'unused',
  /** @param {import('esbuild').PluginBuild} build */
  setup({ onLoad }) {
    const filter = /is-unsafe\/src\/contexts\/(log|nosql|redos|shell|sql|sql-strict|svg)\.js$/
    onLoad({ filter }, () => ({ contents: 'export default []' }))
  },
}
await build({
  absWorkingDir: fileURLToPath(new URL('.', import.meta.url)),
  entryPoints: { upload: 'functions/upload/index.ts', image: 'functions/image/index.ts' },
  outdir: fileURLToPath(dist),
  bundle: true,
  minify: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  logLevel: 'warning',
  plugins: [unused],
})
await writeFile(new URL('package.json', dist), '{ "type": "commonjs" }\n')
