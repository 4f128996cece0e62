import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { type Cos, createCos } from '../../lib/cos.ts'

export const credentials = { secretId: 'local-id', secretKey: 'local-secret' }

export type Respond = (request: IncomingMessage, response: ServerResponse, n: number) => void

/** Starts a fake COS whose answers `respond` writes, and a client of lib/cos for it. */
export async function against(
  respond: Respond,
  time = 60_000,
): Promise<{ cos: Cos; seen: IncomingMessage[]; endpoint: string }> {
  const seen: IncomingMessage[] = []
  const server = createServer((request, response) => respond(request, response, seen.push(request)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const deadline = Date.now() + time
  return { cos: createCos({ endpoint, credentials, deadline, now: Date.now, random: () => 0 }), seen, endpoint }
}

/** The headers that COS sends with an object. */
export const OBJECT = {
  'x-cos-request-id': 'NWFjMzQ0MDZfOTBmYTUwXzZkZV8z',
  etag: '"0123456789abcdef0123456789abcdef"',
  'last-modified': 'Fri, 09 Jan 2026 22:33:18 GMT',
}

/** Answers every request the same. */
export const status =
  (code: number, body: string | Buffer = '', headers: Record<string, string> = {}): Respond =>
  (_, response) =>
    void response.writeHead(code, { ...OBJECT, 'content-length': Buffer.byteLength(body), ...headers }).end(body)

export const rules = [{ fileid: '/cutouts/a.png', rule: 'ci-process=GoodsMatting' }]
export const time = () => ({ until: Date.now() + 30_000, deadline: Date.now() + 30_000 })
/** The vendor's error document. */
export const error = (code: string) =>
  `<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>${code}</Code>\n</Error>`
