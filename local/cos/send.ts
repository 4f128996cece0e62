import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Answer, newRequestId, Refusal, refusalAnswer } from './answer.ts'

/** Resolves once it listens, on 127.0.0.1. */
export function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Sends an answer, with a body only if the method and the status allow one. */
export async function send(
  message: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: Answer,
): Promise<void> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : (body ?? Buffer.alloc(0))
  const empty = message.method === 'HEAD' || status === 204 || status === 304
  const { 'Content-Length': length = bytes instanceof Readable ? '' : `${bytes.length}`, ...rest } = headers ?? {}
  // Content-Length comes last, because Node garbles a Content-Disposition behind it that is not ASCII.
  response.writeHead(status, { ...rest, ...(status !== 204 && status !== 304 && { 'Content-Length': length }) })
  if (!(bytes instanceof Readable)) {
    response.end(empty ? undefined : bytes)
    return
  }
  // A client that goes away meanwhile is no error.
  await pipeline(bytes, response).catch(() => response.destroy())
}

/** Answers a request that Node could not parse. COS has a code of its own only for a body that ends too early. */
export function refuseBroken(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable) return
  const id = newRequestId(Date.now())
  const { status, headers, body } =
    error.code === 'HPE_INVALID_EOF_STATE'
      ? refusalAnswer(new Refusal('IncompleteBody'), '', id)
      : refusalAnswer(new Refusal('InvalidRequest'), '', id)
  const lines = Object.entries({ ...headers, 'x-cos-request-id': id, Connection: 'close' })
  socket.end(`HTTP/1.1 ${status} Bad Request\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n${body}`)
}

/** What a request that failed is answered. */
export function asRefusal(error: unknown, message: IncomingMessage, operation: string): Refusal {
  if (error instanceof Refusal) return error
  // The client went away, perhaps after its body had arrived but before it was read.
  const aborted = error instanceof Error && 'code' in error && error.code === 'ECONNRESET'
  if (message.destroyed && (aborted || !message.complete)) return new Refusal('IncompleteBody')
  console.error(`local COS: ${operation} failed:`, error)
  return new Refusal('InternalError')
}
