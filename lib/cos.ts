import {
  type Answer,
  failure,
  isPng,
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
import { LongBody } from './http.ts'
import { parameters } from './layout.ts'
import { type Paid, type PicRule, paid } from './paid.ts'
import { type Call, createRequests, MAX_BODY, type RequestOptions } from './request.ts'
import { type Credentials, presign, signingKey } from './sign.ts'
import type { Operations } from './view.ts'

export type { ObjectHead } from './answer.ts'

/** Options of a PUT. */
export interface PutOptions {
  type: string
  forbidOverwrite?: boolean
}

export interface Cos {
  /** Undefined if there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>
  /** Undefined if there is no such object. Only for objects of at most 8 MiB. */
  get(key: string): Promise<ObjectRead | undefined>
  /**
   * The object's bytes from the start: 16 KiB, then larger and larger pieces, each fetched when it is read. Undefined if there
   * is no such object.
   */
  pieces(key: string): Promise<{ size: number; modified: number; pieces: AsyncIterable<Buffer> } | undefined>
  /**
   * False if `forbidOverwrite` is set and the object exists. Such a put is never repeated: if only its answer was lost, the
   * repetition would see its own object and return false.
   */
  put(key: string, body: string | Buffer, options: PutOptions): Promise<boolean>
  delete(key: string): Promise<void>
  /**
   * Stores a processed copy of an object at another key of the same bucket (product/436/36366). Not billed as matting: the rule
   * can be nothing else.
   */
  render(key: string, to: string, rule: Operations): Promise<void>
  /** In the order of the keys; with `after`, only the keys behind it. */
  list(prefix: string, after?: string): AsyncGenerator<Listed>
  /** The first of them, at most 1,000, and whether there are more. One request. */
  page(prefix: string, after?: string): Promise<{ objects: Listed[]; more: boolean }>
  /** The calls that cost money. */
  readonly [paid]: Paid
  /** COS's time by the dates of its answers, in milliseconds since the epoch. The clocks of instances differ by minutes. */
  clock(): number
  /** A URL to GET the object, or for the request in `options`; valid from `start` to `end`, both in Unix seconds. */
  presign(key: string, start: number, end: number, options?: PresignOptions): string
}

export interface PresignOptions {
  method?: 'GET' | 'PUT'
  query?: Record<string, string>
  /** All are signed, so whoever uses the URL must send them. */
  headers?: Record<string, string>
  /** The key that signs, instead of the role's. */
  signer?: Credentials | undefined
}

const MAX_CUTOUT = 32 * 1024 * 1024
/** Enough of most cutouts to see that they are not blank: transparent rows take almost no bytes. */
const PIECE = 16 * 1024

/** COS and Cloud Infinite as this project uses them. */
export function createCos(options: RequestOptions): Cos {
  const { endpoint, credentials } = options
  const { host } = new URL(endpoint)
  const { free, pay, clock } = createRequests(options)

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
      // Removed or stored again meanwhile.
      if (!next?.bytes.length || next.modified !== first.modified) throw new MattingError('changed')
      yield next.bytes
      start += next.bytes.length
    }
  }

  async function page(prefix: string, marker = ''): Promise<{ objects: Listed[]; more: boolean }> {
    const answer = await free({ method: 'GET', key: '', query: { prefix, marker, 'encoding-type': 'url' } })
    if (answer.status !== 200) throw failure(answer)
    const found = readPage(answer, prefix)
    // Keys are listed in the order of their bytes; a list that does not advance would never end.
    const last = found.objects.at(-1)?.key ?? ''
    if (found.more && Buffer.compare(Buffer.from(last), Buffer.from(marker)) <= 0) throw failure(answer)
    return found
  }

  return {
    async head(key) {
      const answer = await free({ method: 'HEAD', key })
      if (answer.status === 404) return undefined
      // 403 does not mean "absent", though COS may answer it for a missing object when listing is not allowed.
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

    async render(key, to, rule) {
      const headers = picOperations([{ fileid: `/${to}`, rule }])
      const answer = await free({ method: 'POST', key, query: { image_process: '' }, headers })
      if (answer.status !== 200) throw failure(answer)
    },

    async *list(prefix, after = '') {
      for (let marker = after, more = true; more; ) {
        const next = await page(prefix, marker)
        yield* next.objects
        more = next.more
        marker = next.objects.at(-1)?.key ?? ''
      }
    },

    page,

    [paid]: {
      async process(key, rules, { until, deadline }) {
        const query = { image_process: '' }
        const call: Call = { until, method: 'POST', key, query, headers: picOperations(rules) }
        return readResult(await pay(call, deadline))
      },

      async upload(key, { body, type }, rules, { until, deadline }) {
        const call: Call = { until, method: 'PUT', key, headers: picOperations(rules), type, body }
        return readResult(await pay(call, deadline))
      },

      async detect(url, layout, { until, deadline }) {
        const query = { ...parameters(layout), 'detect-url': url }
        const call: Call = { until, method: 'GET', key: '', query, limit: MAX_CUTOUT }
        const answer = await pay(call, deadline).catch((error: MattingError) => {
          if (error.cause instanceof LongBody && isPng(error.cause.start)) return undefined
          throw error
        })
        return answer && readPng(answer)
      },
    },

    clock,

    presign(key, start, end, { method = 'GET', query, headers, signer = credentials } = {}) {
      const request = { method, pathname: `/${key}`, ...(query && { query }), headers: { host, ...headers } }
      return presign(endpoint, request, signingKey(signer, start, end))
    },
  }
}

/** The header that asks for cutouts, for a request or for a signature. */
export function picOperations(rules: readonly PicRule[]): { 'pic-operations': string } {
  return { 'pic-operations': JSON.stringify({ rules }) }
}

/** For GET only: the body of a 404 tells whether object or bucket is missing. */
function isMissing(answer: Answer): boolean {
  return answer.status === 404 && vendorCode(answer) === 'NoSuchKey'
}
