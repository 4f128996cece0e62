import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { drawSample, SAMPLES, type SampleName } from './sample.ts'

export interface PageOptions {
  /** Where the page's sources are: index.html, main.ts and page.css. */
  folder: URL
  cosUrl: string
  imageUrl: string
}

export interface PageFile {
  headers: Record<string, string>
  body: string | Uint8Array
}

/** The files of the page and the sample photos by their paths, made when they are first asked for; undefined for any other path. */
export function createPage({ folder, cosUrl, imageUrl }: PageOptions): (path: string) => Promise<PageFile | undefined> {
  const there = `${cosUrl} ${imageUrl}`
  // Keys and metadata come from strangers: were one ever shown as more than text, it could still run and fetch nothing.
  const policy = [
    "default-src 'self'",
    `connect-src 'self' ${there}`,
    `img-src 'self' blob: data: ${there}`,
    "style-src 'self'",
    "script-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  const headers = (type: string) => ({
    'content-type': type.startsWith('text/') ? `${type}; charset=utf-8` : type,
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  })
  const bundles = new Map<string, Promise<Uint8Array>>()
  async function bundle(source: string): Promise<Uint8Array> {
    // Loaded only here: most who start the local cloud, such as tests, never open its page.
    const { build } = await import('esbuild')
    const { outputFiles } = await build({
      absWorkingDir: fileURLToPath(folder),
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
  function bundled(source: string): Promise<Uint8Array> {
    const made = bundles.get(source) ?? bundle(source)
    bundles.set(source, made)
    // A mistake in a source is told again each time, until it is mended.
    made.catch(() => bundles.delete(source))
    return made
  }
  const samples = new Map<SampleName, Promise<Uint8Array>>()
  function sample(name: SampleName): Promise<Uint8Array> {
    const drawn = samples.get(name) ?? drawSample(name).then(({ jpeg }) => jpeg)
    samples.set(name, drawn)
    return drawn
  }
  return async (path) => {
    const name = SAMPLES.find((one) => path === `/api/samples/${one}`)
    if (name) return { headers: headers('image/jpeg'), body: await sample(name) }
    if (path === '/') return { headers: headers('text/html'), body: await readFile(new URL('index.html', folder)) }
    if (path === '/page.js') return { headers: headers('text/javascript'), body: await bundled('main.ts') }
    if (path === '/page.css') return { headers: headers('text/css'), body: await bundled('page.css') }
    return undefined
  }
}
