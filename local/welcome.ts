import type { IncomingMessage } from 'node:http'

/**
 * One line of HTML that leads to the page, for a person who opened another port in a browser; undefined for everybody else. An
 * SDK never asks for HTML, and what is signed is no visit.
 */
export function welcome({ method, url, headers }: IncomingMessage, page: string | undefined) {
  const { accept = '', authorization, host = '' } = headers
  // As the host of a bucket it is not this machine's address that was opened.
  if (!/^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/i.test(host)) return undefined
  if (page === undefined || method !== 'GET' || url !== '/' || authorization !== undefined) return undefined
  if (!/(?:^|[\s,])text\/html(?:$|[\s,;])/i.test(accept)) return undefined
  const body = `<!doctype html><meta charset="utf-8"><title>The local cloud</title><p>The page of the local cloud is at <a href="${page}/">${page}/</a>.\n`
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      vary: 'accept',
    },
    body,
  }
}
