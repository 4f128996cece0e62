import { createServer, type IncomingMessage, type Server } from 'node:http'
import { replay } from '../lib/replay.ts'
import { isApiCode } from './api/api.ts'
import { isRefusalCode } from './cos/answer.ts'
import { parseReadings } from './cos/readings.ts'
import { type Faults, parseFaults } from './faults.ts'
import { guard } from './guard.ts'
import { type PutOptions, putPhoto } from './put.ts'
import { createRoutes, type Route, type RoutesOptions } from './routes.ts'
import { createPage } from './serve.ts'
import { Refused } from './upload.ts'

export interface ControlOptions extends RoutesOptions, PutOptions {
  faults: Faults
  reset: () => Promise<void>
}

/** In bytes. No request of this API needs more. */
const MAX_BODY = 1024 * 1024
const PAGE = new URL('page/', import.meta.url)

/** The control API: shows what the local cloud did, and sets the faults. It answers this machine only. */
export function createControl(options: ControlOptions): Server {
  const { cos, scf, faults, clock, reset } = options
  const page = createPage({ folder: PAGE, ...options })
  let origin = ''
  const inside = createRoutes(options, () => origin)
  const routes: Record<string, Route> = {
    ...inside.routes,
    'GET /api/bill': () => ({ calls: cos.bill().length, items: cos.bill(), processing: cos.processing() }),
    'GET /api/functions': () => {
      const { functions, cosTriggers: triggers } = scf.serverless()
      return {
        functions: functions.map(({ name, handler, environment }) => ({ name, handler, environment })),
        triggers,
      }
    },
    'GET /api/requests': () => cos.requests(),
    'GET /api/invocations': () => scf.invocations(),
    'GET /api/waiting': () => ({ events: scf.waiting(), deadLetters: scf.deadLetters().length }),
    'GET /api/dead-letters': () => scf.deadLetters(),
    'POST /api/dead-letters/replay': async () => {
      const readable = scf.deadLetters().filter((letter) => replay([letter]).unreadable.length === 0)
      const { events } = replay(readable)
      // Dropped only after all are queued again, so that nothing is lost if this process ends in between.
      for (const event of events) await scf.push(readable[0]?.function ?? '', event)
      await scf.drop(readable.map(({ id }) => id))
      return { letters: readable.length, events: events.length, left: scf.deadLetters().length }
    },
    'GET /api/faults': () => faults.list(),
    'PUT /api/faults': (_, body) => {
      const { faults: list, seed } = Array.isArray(body) ? { faults: body, seed: 1 } : Object(body)
      const isCode = (code: unknown) => isRefusalCode(code) || isApiCode(code)
      faults.set(parseFaults(list, isCode), typeof seed === 'number' ? seed : 1)
      return faults.list()
    },
    'GET /api/readings': () => cos.readings,
    'PUT /api/readings': (_, body) => Object.assign(cos.readings, parseReadings(body)),
    'POST /api/clock': (_, body) => {
      clock.advance(Number(Object(body).advance))
      return { now: new Date(clock.now()).toISOString() }
    },
    'POST /api/reset': async () => {
      await reset()
      return {}
    },
  }
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, JSON_HEADERS).end(`${JSON.stringify(body, null, 2)}\n`)
    const { localPort = 0 } = request.socket
    // Other pages are refused, even those that may use COS: they must not be able to reset or watch the local cloud.
    const own = { ports: new Set([localPort]), origins: [] }
    const { host = '' } = request.headers
    if (guard(host, request.headers, own))
      return void answer(403, { error: 'The control API answers only this machine.' })
    const { path, query } = readTarget(request)
    try {
      if (request.method === 'PUT' && !path.startsWith('/api/')) {
        const said = await putPhoto(request, options)
        return void response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(said)
      }
      if (request.method === 'GET' && path === '/api/live') {
        if (!inside.live(request, response)) answer(503, { error: 'Too many pages are open.' })
        return
      }
      const file = request.method === 'GET' ? await page(path) : undefined
      // The other ports are named so in what the page may reach, and a page at localhost is of another site than they are.
      if (file && path === '/' && host !== `127.0.0.1:${localPort}`)
        return void response.writeHead(302, { location: `${origin}/` }).end()
      if (file) return void response.writeHead(200, file.headers).end(file.body)
      const route = routes[`${request.method} ${path}`]
      if (!route) return void answer(404, { error: 'There is no such route.', routes: Object.keys(routes) })
      answer(200, await route(query, await readJson(request)))
    } catch (error) {
      const status = error instanceof Refused ? error.status : 400
      answer(status, { error: error instanceof Error ? error.message : String(error) })
    }
  })
  server.once('listening', () => {
    origin = `http://127.0.0.1:${Object(server.address()).port}`
  })
  return server
}

const JSON_HEADERS = {
  'content-type': 'application/json',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
}

function readTarget({ url = '/' }: IncomingMessage): { path: string; query: URLSearchParams } {
  const mark = url.indexOf('?')
  return mark < 0
    ? { path: url, query: new URLSearchParams() }
    : { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > MAX_BODY) throw new Refused(413, 'The body is too long.')
  }
  return text === '' ? undefined : JSON.parse(text)
}
