import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Answer,
  failure,
  hasId,
  isPng,
  isVendors,
  type Listed,
  type ObjectHead,
  type ObjectPart,
  type ObjectRead,
  readHead,
  readObject,
  readPage,
  readPart,
  readPng,
  readResult,
  vendorCode,
} from './answer.ts'
import { MattingError } from './errors.ts'
import { type Layout, parameters } from './layout.ts'
import { type Credentials, encode, encodeKey, presign, signHeaders, signingKey } from './sign.ts'

export type { ObjectHead } from './answer.ts'

/** How a PUT is done. */
export interface PutOptions {
  type: string
  forbidOverwrite?: boolean
}

/** A rule of Pic-Operations: `fileid` is the result's key with a leading slash, which makes it absolute. */
export interface PicRule {
  /** Where the result goes, if not into the bucket of the photo. */
  bucket?: string
  fileid: string
  rule: string
}

export interface Cos {
  /** Undefined if there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>
  /** Undefined if there is no such object. For small objects: at most 8 MiB. */
  get(key: string): Promise<ObjectRead | undefined>
  /** Its bytes from the start, 16 KiB and then ever more of them, fetched as they are asked for. Undefined if there is no such object. */
  pieces(key: string): Promise<{ size: number; modified: number; pieces: AsyncIterable<Buffer> } | undefined>
  /** False if `forbidOverwrite` is set and the object exists. Such a put is never repeated: its own lost answer would look like a loser's. */
  put(key: string, body: string | Buffer, options: PutOptions): Promise<boolean>
  delete(key: string): Promise<void>
  list(prefix: string): AsyncGenerator<Listed>
  /**
   * Method three of the vendor's page: makes cutouts from a stored photo. PAID, at most five rules, sent once and never
   * repeated. Its signature ends at `until` (COS's clock), so that however late it arrives it is not done after that; the
   * answer is waited for until `deadline` (our clock). Both in milliseconds since the epoch. Returns the ETag of the photo that
   * was cut out, if it is told.
   * @throws MattingError unknown-outcome when it may have been done and billed all the same.
   */
  process(
    key: string,
    rules: readonly PicRule[],
    time: { until: number; deadline: number },
  ): Promise<string | undefined>
  /** Method two: stores a photo and makes cutouts from it on the way. PAID, and otherwise as `process`. */
  upload(
    key: string,
    photo: { body: Buffer; type: string },
    rules: readonly PicRule[],
    time: { until: number; deadline: number },
  ): Promise<void>
  /**
   * Method one, of a picture elsewhere: the cutout, or undefined if it has more than 32 MiB. PAID, also then, and otherwise as
   * `process`.
   */
  detect(url: string, layout: Layout, time: { until: number; deadline: number }): Promise<Buffer | undefined>
  /** COS's clock, as far as its answers told; milliseconds since the epoch. Instances' own clocks differ by minutes. */
  clock(): number
  /** A URL to GET the object, or what `options` say, valid from `start` to `end`, both in Unix seconds. */
  presign(key: string, start: number, end: number, options?: PresignOptions): string
}

export interface PresignOptions {
  method?: 'GET' | 'PUT'
  query?: Record<string, string>
  /** To be sent by whoever uses the URL: all are signed. */
  headers?: Record<string, string>
  /** Instead of the role. */
  signer?: Credentials | undefined
}

export interface CosOptions {
  endpoint: string
  credentials: Credentials
  /** Milliseconds since the epoch; nothing is waited for past it. */
  deadline: number
  now: () => number
  random: () => number
}

interface Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  key: string
  query?: Record<string, string>
  /** Signed, all of them. */
  headers?: Record<string, string>
  type?: string
  body?: string | Buffer
  /** When its signature ends, by COS's clock; default a quarter of an hour from now. */
  until?: number
  /** Never to be repeated. */
  once?: boolean
  /** Most bytes of the answer. */
  limit?: number
}

const FREE_TIMEOUT = 5_000
const FREE_ATTEMPTS = 3
const MAX_BODY = 8 * 1024 * 1024
const MAX_CUTOUT = 32 * 1024 * 1024
/** Enough of most cutouts to see that there is something: rows that show nothing take next to no bytes. */
const PIECE = 16 * 1024
/** Connections that were never made: nothing was sent, so nothing was done. */
const UNSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** More bytes than were to come; with the first of them. */
class LongAnswer extends Error {
  readonly start: Buffer

  constructor(start: Buffer) {
    super('a long answer')
    this.start = start
  }
}

/** COS and Cloud Infinite as this project uses them; with external.ts and announce.ts the only place that touches the network. */
export function createCos({ endpoint, credentials, deadline, now, random }: CosOptions): Cos {
  const { protocol, hostname, port, host } = new URL(endpoint)

  /** How far COS's clock is ahead of ours: never more than it is, for dates have whole seconds; the greatest seen is the nearest. */
  let skew: number | undefined

  /** Sends one request, once. Rejects with Node's error if there is no whole answer in time. */
  function send(
    { method, key, query, headers, type, body, until, once, limit = MAX_BODY }: Call,
    timeout: number,
  ): Promise<Answer> {
    const seconds = Math.floor((now() + (skew ?? 0)) / 1000)
    // Five minutes back, because the clocks of instances differ; COS refuses more than fifteen.
    const signing = signingKey(credentials, seconds - 300, until ? Math.floor(until / 1000) : seconds + 900)
    const signed = signHeaders(
      { method, pathname: `/${key}`, ...(query && { query }), headers: { host, ...headers } },
      signing,
    )
    const search = query
      ? `?${Object.entries(query)
          .map(([name, value]) => `${encode(name)}=${encode(value)}`)
          .join('&')}`
      : ''
    return new Promise((resolve, reject) => {
      const outgoing = (protocol === 'https:' ? httpsRequest : httpRequest)(
        {
          method,
          hostname,
          port,
          // Raw, not through URL: that would resolve the dots of a key such as `a/../b`.
          path: `${encodeKey(key)}${search}`,
          headers: {
            ...signed,
            ...(type && { 'content-type': type }),
            'content-length': Buffer.byteLength(body ?? ''),
          },
          // What is not repeated opens its own connection: on a kept one that just died, "sent or not?" has no answer.
          ...(once && { agent: false }),
          signal: AbortSignal.timeout(Math.max(1, Math.ceil(timeout))),
        },
        (incoming) => {
          const date = hasId(incoming.headers) && Date.parse(incoming.headers.date ?? '')
          if (date) skew = Math.max(skew ?? Number.NEGATIVE_INFINITY, date - now())
          const chunks: Buffer[] = []
          let size = 0
          incoming.on('data', (chunk: Buffer) => {
            size += chunk.length
            chunks.push(chunk)
            if (size > limit) incoming.destroy(new LongAnswer(Buffer.concat(chunks.splice(0))))
          })
          incoming.on('error', reject)
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
          )
        },
      )
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }

  /** A call that costs nothing: repeated, with growing and jittered pauses, while time is left. */
  async function free(call: Call): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const last = call.once || attempt >= FREE_ATTEMPTS || now() >= deadline
      const before = skew
      try {
        // A second more for each megabyte that is sent.
        const timeout = FREE_TIMEOUT + (call.body?.length ?? 0) / 1_000
        const answer = await send(call, Math.min(timeout, deadline - now()))
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
  }

  function pay(call: Call, deadline: number): Promise<Answer> {
    return send(call, deadline - now()).catch((cause: NodeJS.ErrnoException) => {
      throw new MattingError(UNSENT.has(cause.code ?? '') ? 'unavailable' : 'unknown-outcome', undefined, { cause })
    })
  }

  /** Undefined if there is no such object. */
  async function part(key: string, start: number, length: number): Promise<ObjectPart | undefined> {
    const headers = { range: `bytes=${start}-${start + length - 1}` }
    const answer = await free({ method: 'GET', key, headers })
    if (isMissing(answer)) return undefined
    if (![200, 206, 416].includes(answer.status)) throw failure(answer)
    return readPart(answer, start)
  }

  async function* rest(key: string, first: ObjectPart): AsyncGenerator<Buffer> {
    yield first.bytes
    for (
      let start = first.bytes.length, length = 4 * PIECE;
      start < first.total;
      length = Math.min(4 * length, MAX_BODY)
    ) {
      const next = await part(key, start, length)
      if (!next || next.bytes.length === 0) return
      yield next.bytes
      start += next.bytes.length
    }
  }

  return {
    async head(key) {
      const answer = await free({ method: 'HEAD', key })
      if (answer.status === 404) return undefined
      // 403 is not "absent": COS may answer it for a missing object when listing is not allowed.
      if (answer.status !== 200) throw failure(answer)
      return readHead(answer)
    },

    async get(key) {
      const answer = await free({ method: 'GET', key })
      if (isMissing(answer)) return undefined
      if (answer.status !== 200) throw failure(answer)
      return readObject(answer)
    },

    async pieces(key) {
      const first = await part(key, 0, PIECE)
      return first && { size: first.total, modified: first.modified, pieces: rest(key, first) }
    },

    async put(key, body, { type, forbidOverwrite = false }) {
      const headers = forbidOverwrite ? { 'x-cos-forbid-overwrite': 'true' } : {}
      const answer = await free({ method: 'PUT', key, headers, type, body, once: forbidOverwrite })
      if (answer.status === 409 && forbidOverwrite) return false
      if (answer.status !== 200 || !answer.headers.etag) throw failure(answer)
      return true
    },

    async delete(key) {
      const answer = await free({ method: 'DELETE', key })
      if (answer.status !== 204 && !isMissing(answer)) throw failure(answer)
    },

    async *list(prefix) {
      for (let marker = ''; ; ) {
        const query = { prefix, marker, 'encoding-type': 'url' }
        const answer = await free({ method: 'GET', key: '', query })
        if (answer.status !== 200) throw failure(answer)
        const { objects, more } = readPage(answer, prefix)
        yield* objects
        if (!more) return
        const next = objects.at(-1)?.key ?? ''
        // Keys are listed in the order of their bytes: one that does not go on would never end.
        if (Buffer.compare(Buffer.from(next), Buffer.from(marker)) <= 0) throw failure(answer)
        marker = next
      }
    },

    async process(key, rules, { until, deadline }) {
      const call: Call = {
        until,
        once: true,
        method: 'POST',
        key,
        query: { image_process: '' },
        headers: picOperations(rules),
      }
      return readResult(await pay(call, deadline))
    },

    async upload(key, { body, type }, rules, { until, deadline }) {
      const call: Call = { until, once: true, method: 'PUT', key, headers: picOperations(rules), type, body }
      readResult(await pay(call, deadline))
    },

    async detect(url, layout, { until, deadline }) {
      const query = { ...parameters(layout), 'detect-url': url }
      const call: Call = { until, once: true, method: 'GET', key: '', query, limit: MAX_CUTOUT }
      const answer = await pay(call, deadline).catch((error: MattingError) => {
        if (error.cause instanceof LongAnswer && isPng(error.cause.start)) return undefined
        throw error
      })
      return answer && readPng(answer)
    },

    clock: () => now() + (skew ?? 0),

    presign(key, start, end, { method = 'GET', query, headers, signer = credentials } = {}) {
      const request = { method, pathname: `/${key}`, ...(query && { query }), headers: { host, ...headers } }
      return presign(endpoint, request, signingKey(signer, start, end))
    },
  }
}

/** The header that asks for cutouts, as a request or a signature has it. */
export function picOperations(rules: readonly PicRule[]): { 'pic-operations': string } {
  return { 'pic-operations': JSON.stringify({ rules }) }
}

/** HEAD says no more than 404, GET says of what. */
function isMissing(answer: Answer): boolean {
  return answer.status === 404 && vendorCode(answer) === 'NoSuchKey'
}
