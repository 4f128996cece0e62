import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'

/** Where a request goes, and how; `protocol` is `http:` or `https:`. */
export interface Request extends RequestOptions {
  protocol: string
  body?: string | Buffer
}

/** More bytes came than were to come; with those that did. */
export class LongBody extends Error {
  readonly start: Buffer

  constructor(start: Buffer) {
    super('a long body')
    this.start = start
  }
}

/**
 * Sends a request over HTTP or HTTPS; redirects are not followed. The response comes with its headers, and its body is the caller's
 * to read or to destroy. Not fetch, which would resolve the dots in a path such as `/a/../b`.
 * @throws Node's error, if there is no answer, or `signal` is aborted
 */
export function send({ protocol, body, ...options }: Request): Promise<IncomingMessage> {
  const request = protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    request(options, resolve).on('error', reject).end(body)
  })
}

/** Aborted after so many milliseconds, at least one. */
export function within(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.max(1, Math.ceil(ms)))
}

/** A response's body. @throws LongBody if it has more bytes than `limit`; Node's error if it breaks off */
export async function readBody(response: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop destroys the response: no more is read than was asked for.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > limit) throw new LongBody(Buffer.concat(chunks))
  }
  return Buffer.concat(chunks)
}
