import type { IncomingHttpHeaders } from 'node:http'

/** The web pages that may use the local cloud, beside programs. */
export interface Pages {
  /** The local cloud's own ports on this machine. */
  ports: Set<number>
  /** Origins of further pages, such as `http://localhost:8080`. */
  origins: readonly string[]
}

/** Names that lead to this machine whatever a resolver says: browsers know those below localhost so, too (RFC 6761, 6.3). */
const HERE = /^(?:127\.0\.0\.1|\[::1\]|(?:[a-z0-9-]+\.)?localhost)$/

const STRANGE_HOST = 'This host name is none of the local cloud; --host NAME=PORT adds one.'
const STRANGE_PAGE = 'A page of this origin may not use the local cloud; --origin URL allows it.'

/**
 * Why a request is refused; undefined if it is not. The local cloud's keys are known to everybody, so whatever page somebody reads
 * meanwhile could sign requests to it: across origins (CSRF), or as if it were its own after a second look at the page's host
 * name leads here (DNS rebinding).
 * @param host of the Host header or, for a proxy, of the target
 * @param isOwn whether a name that is not this machine's leads here all the same
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
  // A program; or a page's GET that asks for no permission to read: `<img>`, `<script>`, a link. Of those, browsers tell the
  // pages of other sites, and with them a page at localhost from an image at 127.0.0.1. No page can tell another's Referer.
  if (origin === undefined) {
    if (headers['sec-fetch-site'] !== 'cross-site') return undefined
    const page = readPage(referer)
    return page && (HERE.test(page.hostname) || isAllowed(page, pages)) ? undefined : STRANGE_PAGE
  }
  // After a redirect from one host to another, browsers say `null`; but so do frames and files that hide where they are from.
  const page = readPage(origin === 'null' ? referer : origin)
  return page && isAllowed(page, pages) ? undefined : STRANGE_PAGE
}

function readPage(url: string | undefined): URL | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url) : undefined
}

function isAllowed({ protocol, hostname, port, origin }: URL, { ports, origins }: Pages): boolean {
  return (protocol === 'http:' && HERE.test(hostname) && ports.has(Number(port || 80))) || origins.includes(origin)
}
