import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { drawSample, SAMPLES, type SampleName } from './sample.ts'

export interface PageOptions {
  /** Where index.html is, and main.ts and page.css, or what they were bundled to. */
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
  async function bundle(source: string, name: string): Promise<Uint8Array> {
    // The package has it bundled.
    const file = new URL(name, folder)
    if (existsSync(new URL('page.js', folder))) return readFile(file)
    // Loaded only here: most who start the local cloud, such as tests, never open its page.
    const { bundlePage } = await import('../page.mjs')
    return bundlePage(source)
  }
  function bundled(source: string, name: string): Promise<Uint8Array> {
    const made = bundles.get(name) ?? bundle(source, name)
    bundles.set(name, made)
    // A mistake in a source is told again each time, until it is mended.
    made.catch(() => bundles.delete(name))
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
    if (path === '/page.js') return { headers: headers('text/javascript'), body: await bundled('main.ts', 'page.js') }
    if (path === '/page.css') return { headers: headers('text/css'), body: await bundled('page.css', 'page.css') }
    return undefined
  }
}
