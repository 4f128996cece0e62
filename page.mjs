// Bundles the page of the local cloud. In a clone it is done when the page is first opened, in the package when that is made.
import { fileURLToPath } from 'node:url'

/**
 * One file of the page, from `main.ts` or `page.css` of local/page, with all that it imports.
 * @param {string} source
 */
export async function bundlePage(source) {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL('local/page/', import.meta.url)),
    entryPoints: [source],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    logLevel: 'silent',
  })
  return outputFiles[0]?.contents ?? new Uint8Array()
}
