import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { guard } from './guard.ts'

export interface ReceiverOptions {
  /** 0 chooses a free port. */
  port: number
  /** `whsec_<base64>` */
  secret: string
  /** Receives one line about each delivery. */
  print: (line: string) => void
  now?: () => number
}

export interface Receiver {
  url: string
  /** The last 1,000 events whose signature was valid, repeated ones included. */
  events(): unknown[]
  /** Tells of each event that it has taken, from now on. Returns how to end it. */
  watch(listener: (event: Taken) => void): () => void
  close(): void
}

/** What an event is, and about which photo. */
export interface Taken {
  type: string
  key: string
  id: string
}

const KEPT = 1_000
const MAX_BODY = 1024 * 1024
/** How many seconds the clocks of sender and receiver may differ; the libraries of Standard Webhooks allow the same. */
const TOLERANCE = 300

/** A receiver to try signed events with. It answers 204 if the signature is valid (Standard Webhooks), otherwise 401. */
export async function startReceiver({ port, secret, print, now = Date.now }: ReceiverOptions): Promise<Receiver> {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const events: { id: string; event: unknown }[] = []
  const listeners = new Set<(event: Taken) => void>()

  function receive(headers: IncomingHttpHeaders, body: Buffer): number {
    const wrong = verify(headers, body, key, now())
    if (wrong) {
      print(`event        refused: ${wrong}`)
      return 401
    }
    const id = String(headers['webhook-id'])
    const again = events.some((event) => event.id === id) ? ', again' : ''
    const event: unknown = JSON.parse(body.toString())
    events.push({ id, event })
    if (events.length > KEPT) events.shift()
    const { type, data } = Object(event)
    for (const listener of listeners) listener({ type: String(type), key: String(Object(Object(data).source).key), id })
    print(`event        ${describe(event)} (id ${id.slice(0, 8)}…${again}; signature good)`)
    return 204
  }

  const server = createServer(async (request, response) => {
    // Its secret is known to everybody: no page may tell of what has not happened.
    if (guard(request.headers.host ?? '', request.headers, { ports: new Set(), origins: [] }))
      return void response.writeHead(403, { connection: 'close' }).end()
    try {
      const body = request.method === 'POST' ? await read(request) : undefined
      response.writeHead(body ? receive(request.headers, body) : 405).end()
    } catch {
      response.writeHead(400, { connection: 'close' }).end()
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    events: () => events.map(({ event }) => event),
    watch(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: () => server.close().closeAllConnections(),
  }
}

/** What is wrong with the signature of a delivery; undefined if nothing is (Standard Webhooks, "Verifying signatures"). */
function verify(headers: IncomingHttpHeaders, body: Buffer, key: Buffer, now: number): string | undefined {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => headers[`webhook-${name}`])
  if (!id || !timestamp || !signatures) return 'not signed'
  if (!(Math.abs(now / 1000 - Number(timestamp)) <= TOLERANCE)) return 'its timestamp is not within five minutes of now'
  const right = Buffer.from(
    `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`,
  )
  // The header is a list, so that a sender can sign with an old and a new secret.
  const good = String(signatures)
    .split(' ')
    .map((signature) => Buffer.from(signature))
    .some((signature) => signature.length === right.length && timingSafeEqual(signature, right))
  return good ? undefined : 'wrong signature'
}

/** @throws Error if the body is longer than any event */
async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) throw new Error('too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function describe(event: unknown): string {
  const { type, data } = Object(event)
  const { source, layout, cutout, code, message, why } = Object(data)
  const what = cutout ? `${layout} → ${cutout.key}` : code ? `${code}: ${message}` : why
  // A key may hold control characters, which a terminal would obey.
  return `${type} ${source?.key} ${what}`.replace(/\p{Cc}/gu, '?')
}
