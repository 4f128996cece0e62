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

/** Writes an answer as HTTP has it for this request. */
export async function send(
  message: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: Answer,
): Promise<void> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : (body ?? Buffer.alloc(0))
  const empty = message.method === 'HEAD' || status === 204 || status === 304
  const { 'Content-Length': length = bytes instanceof Readable ? '' : `${bytes.length}`, ...rest } = headers ?? {}
  // Last: after it, Node garbles a Content-Disposition that is not ASCII.
  response.writeHead(status, { ...rest, ...(status !== 204 && status !== 304 && { 'Content-Length': length }) })
  if (!(bytes instanceof Readable)) {
    response.end(empty ? undefined : bytes)
    return
  }
  // The client may go away while it is sent: that is its right.
  await pipeline(bytes, response).catch(() => response.destroy())
}

/** What the parser gave up on; a body that ends too early is the one case that COS has a word for. */
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
