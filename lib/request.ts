import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, failure, hasId, isVendors } from './answer.ts'
import { MattingError } from './errors.ts'
import { readBody, send, within } from './http.ts'
import { type Credentials, encode, encodeKey, signHeaders, signingKey } from './sign.ts'

/** One request to COS or Cloud Infinite. */
export interface Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  key: string
  query?: Record<string, string>
  /** Signed, all of them. */
  headers?: Record<string, string>
  type?: string
  body?: string | Buffer
  /** When its signature ends, by COS's clock, in milliseconds since the epoch; default a quarter of an hour from now. */
  until?: number
  /** Never to be repeated. */
  once?: boolean
  /** Most bytes of the answer. */
  limit?: number
}

export interface RequestOptions {
  endpoint: string
  credentials: Credentials
  /** Milliseconds since the epoch; nothing is waited for past it. */
  deadline: number
  now: () => number
  random: () => number
}

/** The two ways to ask the vendor, and what its answers tell of the time. */
export interface Requests {
  /** A call that costs nothing: repeated, with growing and jittered pauses, while time is left. @throws MattingError */
  free(call: Call): Promise<Answer>
  /**
   * A call that costs money: sent once, on a connection of its own, and waited for until `deadline`.
   * @throws MattingError unavailable if it was certainly not sent, else unknown-outcome
   */
  pay(call: Call, deadline: number): Promise<Answer>
  /** COS's clock, as far as its answers told; milliseconds since the epoch. */
  clock(): number
}

/** Most bytes of an answer, unless a call says otherwise. */
export const MAX_BODY = 8 * 1024 * 1024

const FREE_TIMEOUT = 5_000
const FREE_ATTEMPTS = 3
/** Connections that were never made: nothing was sent, so nothing was done. */
const UNSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Signs requests to one bucket and sends them. */
export function createRequests({ endpoint, credentials, deadline, now, random }: RequestOptions): Requests {
  const { protocol, hostname, port, host } = new URL(endpoint)

  /** How far COS's clock is ahead of ours: never more than it is, for dates have whole seconds; the greatest seen is the nearest. */
  let skew: number | undefined

  /** Rejects with Node's error if there is no whole answer in time. */
  async function ask(call: Call, timeout: number): Promise<Answer> {
    const { method, key, query, headers, type, body = '', until, once, limit = MAX_BODY } = call
    const seconds = Math.floor((now() + (skew ?? 0)) / 1000)
    // Five minutes back, because the clocks of instances differ; COS refuses more than fifteen.
    const signing = signingKey(credentials, seconds - 300, until ? Math.floor(until / 1000) : seconds + 900)
    const signable = { method, pathname: `/${key}`, ...(query && { query }), headers: { host, ...headers } }
    const search = Object.entries(query ?? {}).map(([name, value]) => `${encode(name)}=${encode(value)}`)
    const response = await send({
      protocol,
      method,
      hostname,
      port,
      // Raw, not through URL: that would resolve the dots of a key such as `a/../b`.
      path: `${encodeKey(key)}${query ? '?' : ''}${search.join('&')}`,
      headers: {
        ...signHeaders(signable, signing),
        ...(type && { 'content-type': type }),
        'content-length': Buffer.byteLength(body),
      },
      // What is not repeated opens its own connection: on a kept one that just died, "sent or not?" has no answer.
      ...(once && { agent: false }),
      signal: within(timeout),
      body,
    })
    const date = hasId(response.headers) && Date.parse(response.headers.date ?? '')
    if (date) skew = Math.max(skew ?? Number.NEGATIVE_INFINITY, date - now())
    const { statusCode: status = 0, headers: answered } = response
    return { status, headers: answered, body: await readBody(response, limit) }
  }

  return {
    async free(call) {
      for (let attempt = 1; ; attempt++) {
        const last = call.once || attempt >= FREE_ATTEMPTS || now() >= deadline
        const before = skew
        try {
          // A second more for each megabyte that is sent.
          const timeout = FREE_TIMEOUT + (call.body?.length ?? 0) / 1_000
          const answer = await ask(call, Math.min(timeout, deadline - now()))
          // Refused for our clock, most likely; the answer told the right time. HEAD's says no more than 403.
          const late = answer.status === 403 && Math.abs((skew ?? 0) - (before ?? 0)) > 60_000
          if (isVendors(answer) && answer.status < 500 && answer.status !== 429 && !late) return answer
          if (last) throw failure(answer)
        } catch (error) {
          if (error instanceof MattingError) throw error
          if (last) throw new MattingError('unavailable', undefined, { cause: error })
        }
        await sleep(Math.max(0, Math.min(100 * 2 ** attempt * (0.5 + random()), deadline - now())))
      }
    },

    pay(call, deadline) {
      return ask({ ...call, once: true }, deadline - now()).catch((cause: NodeJS.ErrnoException) => {
        throw new MattingError(UNSENT.has(cause.code ?? '') ? 'unavailable' : 'unknown-outcome', undefined, { cause })
      })
    },

    clock: () => now() + (skew ?? 0),
  }
}
