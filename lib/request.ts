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
  /** All of them are signed. */
  headers?: Record<string, string>
  type?: string
  body?: string | Buffer
  /** When its signature ends, by COS's clock, in milliseconds since the epoch; by default a quarter of an hour from now. */
  until?: number
  /** The call must not be repeated. It also opens a connection of its own. */
  once?: boolean
  /** The answer may have at most so many bytes. */
  limit?: number
}

export interface RequestOptions {
  endpoint: string
  credentials: Credentials
  /** Milliseconds since the epoch; nothing is waited for after it. */
  deadline: number
  now: () => number
  random: () => number
}

/** The two ways to send a call to the vendor, and the time that its answers tell. */
export interface Requests {
  /**
   * Sends a call that costs nothing: at most three times, with growing and random pauses, while time is left.
   * @throws MattingError
   */
  free(call: Call): Promise<Answer>
  /**
   * Sends a call that costs money once, on a connection of its own, and waits for the answer until `deadline`.
   * @throws MattingError unavailable if it was certainly not sent, otherwise unknown-outcome
   */
  pay(call: Call, deadline: number): Promise<Answer>
  /** COS's time by the dates of its answers, in milliseconds since the epoch. */
  clock(): number
}

/** An answer may have at most so many bytes, unless a call says otherwise. */
export const MAX_BODY = 8 * 1024 * 1024

const FREE_TIMEOUT = 5_000
const FREE_ATTEMPTS = 3
/** The connection was never made: nothing was sent, so nothing was done. */
const UNSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Signs requests to one bucket and sends them. */
export function createRequests({ endpoint, credentials, deadline, now, random }: RequestOptions): Requests {
  const { protocol, hostname, port, host } = new URL(endpoint)

  /**
   * How far COS's clock is ahead of ours. A date leaves out the parts of its second, so each answer tells too little, and the
   * greatest of all differences is nearest to the truth.
   */
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
      // Raw, not through URL, which would resolve the dots of a key such as `a/../b`.
      path: `${encodeKey(key)}${query ? '?' : ''}${search.join('&')}`,
      headers: {
        ...signHeaders(signable, signing),
        ...(type && { 'content-type': type }),
        'content-length': Buffer.byteLength(body),
      },
      // A call that is not repeated opens its own connection: if a kept connection breaks, nobody can tell whether the call was
      // sent.
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
          // One more second for each megabyte that is sent.
          const timeout = FREE_TIMEOUT + (call.body?.length ?? 0) / 1_000
          const answer = await ask(call, Math.min(timeout, deadline - now()))
          // Probably refused because our clock is wrong, and this answer told the right time. An answer to HEAD gives no reason
          // but 403.
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
