import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'

/** A request and where it goes; `protocol` is `http:` or `https:`. */
export interface Request extends RequestOptions {
  protocol: string
  body?: string | Buffer
}

/** A body had more bytes than allowed; `start` holds those that came. */
export class LongBody extends Error {
  readonly start: Buffer

  constructor(start: Buffer) {
    super('a long body')
    this.start = start
  }
}

/**
 * Sends a request over HTTP or HTTPS; redirects are not followed. Resolves when the headers are there; the caller must read or
 * destroy the body. Not with fetch, which would resolve the dots in a path such as `/a/../b`.
 * @throws Node's error, if there is no answer or `signal` is aborted
 */
export function send({ protocol, hostname, body, ...options }: Request): Promise<IncomingMessage> {
  const request = protocol === 'https:' ? httpsRequest : httpRequest
  // A URL has an IPv6 address in brackets; a name in brackets is never found.
  const host = hostname?.replace(/^\[(.*)\]$/, '$1')
  return new Promise((resolve, reject) => {
    request({ ...options, host }, resolve)
      .on('error', reject)
      .end(body)
  })
}

/** A signal that is aborted after `ms` milliseconds, at least one. */
export function within(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.max(1, Math.ceil(ms)))
}

/** Reads a response's body. @throws LongBody if it has more bytes than `limit`; Node's error if it breaks off */
export async function readBody(response: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop destroys the response, so nothing is read beyond the limit.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > limit) throw new LongBody(Buffer.concat(chunks))
  }
  return Buffer.concat(chunks)
}
