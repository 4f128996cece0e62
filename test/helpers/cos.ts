import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import COS from 'cos-nodejs-sdk-v5'
import sharp from 'sharp'
import { onTestFinished } from 'vitest'
import { encode, encodeKey } from '../../local/cos/answer.ts'
import { type Cos, type CosOptions, type Key, type ObjectEvent, startCos } from '../../local/cos/cos.ts'
import { createFaults, type Faults } from '../../local/faults.ts'

export const BUCKET = 'photos-1250000000'
export const REGION = 'ap-guangzhou'
export const ID = 'AKIDEXAMPLE'
export const SECRET = 'SECRETEXAMPLE'

export interface Reply {
  status: number
  headers: Record<string, string | string[] | undefined>
  bytes: Buffer
  text: string
}

export interface Sent {
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Buffer | string
  host?: string
  id?: string
  secret?: string
  /** Unsigned additions to the query, written as they are to be in the URL. */
  append?: string
}

export interface Lab extends Cos {
  options: CosOptions
  keys: Map<string, Key>
  faults: Faults
  events: ObjectEvent[]
  /** Sends a signed request. The key is given decoded. */
  send(method: string, key: string, sent?: Sent): Promise<Reply>
  put(key: string, body?: Buffer | string, headers?: Record<string, string>): Promise<Reply>
}

export interface LabOptions extends Partial<CosOptions> {
  /** Whether the folder stays, for another start. */
  keep?: boolean
}

/** Starts a local COS for the rest of the test, in a folder of its own. */
export async function startLab(given: LabOptions = {}): Promise<Lab> {
  const { keep = false, ...rest } = given
  const dir = rest.dir ?? mkdtempSync(join(tmpdir(), 'cos-'))
  const events: ObjectEvent[] = []
  const keys = rest.keys ?? new Map<string, Key>([[ID, { secret: SECRET }]])
  const faults = rest.faults ?? createFaults()
  const options: CosOptions = {
    dir,
    port: 0,
    bucket: BUCKET,
    region: REGION,
    keys,
    cut,
    faults,
    onEvent: (event) => {
      events.push(event)
    },
    ...rest,
  }
  const cos = await startCos(options)
  onTestFinished(async () => {
    await cos.close()
    if (!keep) rmSync(dir, { recursive: true, force: true })
  })
  const lab: Lab = {
    ...cos,
    options,
    keys,
    faults,
    events,
    send: (method, key, sent = {}) => send(cos.port, method, key, sent),
    put: (key, body = 'hello', headers = {}) => send(cos.port, 'PUT', key, { body, headers }),
  }
  return lab
}

/** A fast stand-in for the engine. A picture of a single colour gives a blank cutout. */
export const cut: CosOptions['cut'] = async (image, layouts) => {
  const source = await sharp(image)
    .metadata()
    .catch(() => {
      throw Object.assign(new Error('no image'), { code: 'InvalidImageFormat' })
    })
  const { isOpaque, entropy } = await sharp(image).stats()
  return Promise.all(
    layouts.map(async ({ dx, dy }) => {
      const [width, height] = [source.width + 2 * dx, source.height + 2 * dy]
      const blank = isOpaque && entropy === 0
      const background = blank ? { r: 0, g: 0, b: 0, alpha: 0 } : { r: 200, g: 30, b: 60, alpha: 0.5 }
      const png = await sharp({ create: { width, height, channels: 4, background } })
        .png()
        .toBuffer()
      return { png, width, height, blank }
    }),
  )
}

/** A small photo with a product in it. */
export async function photo(width = 40, height = 30): Promise<Buffer> {
  const product = await sharp({ create: { width: 10, height: 10, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
  return sharp({ create: { width, height, channels: 3, background: 'white' } })
    .composite([{ input: product }])
    .jpeg()
    .toBuffer()
}

export interface SignInput {
  method: string
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  id?: string
  secret?: string
  keyTime?: string
}

/** Signs with the vendor's own SDK, because a signer of ours would share our mistakes. */
export function authorization({
  method,
  path,
  query = {},
  headers = {},
  id = ID,
  secret = SECRET,
  keyTime,
}: SignInput) {
  return COS.getAuthorization({
    SecretId: id,
    SecretKey: secret,
    Method: method as COS.Method,
    Pathname: path,
    Query: query,
    Headers: headers,
    ...(keyTime !== undefined && { KeyTime: keyTime }),
  })
}

export async function send(port: number, method: string, key: string, sent: Sent): Promise<Reply> {
  const { query = {}, headers = {}, body, append = '' } = sent
  const host = sent.host ?? `127.0.0.1:${port}`
  const { id = ID, secret = SECRET } = sent
  const signed = authorization({ method, path: `/${key}`, query, headers: { host, ...headers }, id, secret })
  const text = Object.entries(query).map(([k, v]) => (v === '' ? encode(k) : `${encode(k)}=${encode(v)}`))
  const search = [...text, ...(append ? [append] : [])].join('&')
  return sendRaw(port, method, `/${encodeKey(key)}${search ? `?${search}` : ''}`, {
    headers: { Host: host, Authorization: signed, ...headers },
    ...(body !== undefined && { body }),
  })
}

/** The vendor's own client. */
export function client({ port }: { port: number }, options: COS.COSOptions = {}): COS {
  return new COS({ SecretId: ID, SecretKey: SECRET, Domain: `127.0.0.1:${port}`, Protocol: 'http:', ...options })
}

/** The parameters that each call of the vendor's client needs. */
export const AT = { Bucket: BUCKET, Region: REGION }

/** Sends a request with target and headers exactly as given. */
export function sendRaw(
  port: number,
  method: string,
  target: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: Buffer | string } = {},
): Promise<Reply> {
  const length =
    body === undefined && method !== 'POST' && method !== 'PUT'
      ? {}
      : { 'Content-Length': `${Buffer.byteLength(body ?? '')}` }
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path: target, headers: { ...length, ...headers }, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const bytes = Buffer.concat(chunks)
          resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text: bytes.toString() })
        })
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** The text of the first element with this name. */
export function element({ text }: Reply, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]
}

/** Sends exactly these bytes, and returns what is answered. */
export function talk({ port }: { port: number }, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', reject)
    socket.on('end', () => resolve(text))
    socket.end(bytes)
  })
}
