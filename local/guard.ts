import type { IncomingHttpHeaders } from 'node:http'

/** The web pages that may use the local cloud. Programs always may. */
export interface Pages {
  /** The local cloud's own ports on this machine. */
  ports: Set<number>
  /** Origins of further pages, such as `http://localhost:8080`. */
  origins: readonly string[]
  /** The local cloud's own page, once it is there. */
  own?: string
}

/** Names that always mean this machine; browsers resolve names below localhost to it without asking (RFC 6761, 6.3). */
const HERE = /^(?:127\.0\.0\.1|\[::1\]|(?:[a-z0-9-]+\.)?localhost)$/

const STRANGE_HOST = 'This host name does not belong to the local cloud; --host NAME=PORT adds one.'
const STRANGE_PAGE = 'Pages of this origin may not use the local cloud; --origin URL allows them.'

/**
 * Why a request is refused; undefined if it is not. Everybody knows the keys of the local cloud, so any web page that is open
 * in a browser of this machine could sign requests to it: across origins (CSRF), or as requests to the page's own host, once
 * that name has been made to resolve to this machine (DNS rebinding).
 * @param host the host of the Host header or, for a proxy, of the target
 * @param isOwn whether a name belongs to the local cloud although it is not one of this machine
 */
export function guard(
  host: string,
  headers: IncomingHttpHeaders,
  pages: Pages,
  isOwn: (name: string) => boolean = () => false,
): string | undefined {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  if (!HERE.test(name) && !isOwn(name)) return STRANGE_HOST
  const { origin, referer } = headers
  // Without an Origin it is a program, or a page's GET whose answer the page cannot read: `<img>`, `<script>`, a link. For
  // these, browsers say whether the page is of another site; a page at localhost counts as another site for an image at
  // 127.0.0.1, so the Referer decides. No page can forge the Referer of another.
  if (origin === undefined) {
    if (headers['sec-fetch-site'] !== 'cross-site') return undefined
    const page = readPage(referer)
    return page && (HERE.test(page.hostname) || isAllowed(page, pages)) ? undefined : STRANGE_PAGE
  }
  // Browsers send `null` after a redirect from one host to another, but also for sandboxed frames and for files.
  const page = readPage(origin === 'null' ? referer : origin)
  return page && isAllowed(page, pages) ? undefined : STRANGE_PAGE
}

function readPage(url: string | undefined): URL | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url) : undefined
}

function isAllowed({ protocol, hostname, port, origin }: URL, { ports, origins }: Pages): boolean {
  return (protocol === 'http:' && HERE.test(hostname) && ports.has(Number(port || 80))) || origins.includes(origin)
}
