import { createServer, type IncomingMessage, type Server } from 'node:http'
import { guard, type Pages } from '../guard.ts'
import { welcome } from '../welcome.ts'
import { Throttled } from './function.ts'

/** SCF's limit for a synchronous request, in bytes (product/583/11637). */
const MAX_REQUEST = 6 * 1024 * 1024

/**
 * A function URL (product/583/96099): HTTP request ⇄ event. The event has no queryStringParameters and no isBase64Encoded.
 * `invoke` returns undefined while no function has a URL. Whether `path` is handed over raw or decoded is not documented, so it is a setting.
 */
export function createUrlServer(
  invoke: (event: unknown) => Promise<unknown> | undefined,
  paths: 'raw' | 'decoded',
  pages: Pages = { ports: new Set(), origins: [] },
  hosts: ReadonlyMap<string, number> = new Map(),
): Server {
  return createServer(async (request, response) => {
    const fail = (status: number, errorMessage: string) =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ errorCode: 1, errorMessage }))
    const refused = guard(request.headers.host ?? '', request.headers, pages, (name) => hosts.has(name))
    if (refused) return void fail(403, refused)
    const greeting = welcome(request, pages.own)
    if (greeting) return void response.writeHead(greeting.status, greeting.headers).end(greeting.body)
    try {
      const body = await read(request)
      if (body === undefined) return void response.writeHead(413).end()
      const [rawPath = '/', search = ''] = split(request.url ?? '/')
      const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)])
      const running = invoke({
        body: body.toString(),
        headers: { ...Object.fromEntries(headers), 'x-scf-remote-addr': request.socket.remoteAddress ?? '' },
        httpMethod: request.method,
        path: paths === 'decoded' ? decoded(rawPath) : rawPath,
        queryString: Object.fromEntries(new URLSearchParams(search)),
      })
      if (!running) return void fail(404, 'No function has a URL yet: one is deployed with a trigger of type http.')
      const result = await running
      const { statusCode, headers: answered, body: text } = Object(result)
      if (typeof statusCode !== 'number') {
        return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result))
      }
      response.writeHead(statusCode, Object(answered)).end(typeof text === 'string' ? text : undefined)
    } catch (error) {
      fail(error instanceof Throttled ? 432 : 500, error instanceof Error ? error.message : String(error))
    }
  })
}

function split(target: string): [path: string, search: string] {
  const mark = target.indexOf('?')
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)]
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** Reads the body; undefined if it is too long. */
async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > MAX_REQUEST) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
