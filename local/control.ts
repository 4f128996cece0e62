import { createServer, type IncomingMessage, type Server } from 'node:http'
import { replay } from '../lib/replay.ts'
import { isApiCode } from './api/api.ts'
import type { Clock } from './clock.ts'
import { isRefusalCode } from './cos/answer.ts'
import type { Cos } from './cos/cos.ts'
import { parseReadings } from './cos/readings.ts'
import { type Faults, parseFaults } from './faults.ts'
import { guard } from './guard.ts'
import { type PutOptions, putPhoto } from './put.ts'
import type { Scf } from './scf/scf.ts'

export interface ControlOptions {
  cos: Cos
  scf: Scf
  faults: Faults
  clock: Clock
  reset: () => Promise<void>
  put: PutOptions
}

/** The control API: shows what the local cloud did, and sets the faults. It answers this machine only. */
export function createControl({ cos, scf, faults, clock, reset, put }: ControlOptions): Server {
  const routes: Record<string, (body: unknown) => unknown> = {
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
    'PUT /api/faults': (body) => {
      const { faults: list, seed } = Array.isArray(body) ? { faults: body, seed: 1 } : Object(body)
      const isCode = (code: unknown) => isRefusalCode(code) || isApiCode(code)
      faults.set(parseFaults(list, isCode), typeof seed === 'number' ? seed : 1)
      return faults.list()
    },
    'GET /api/readings': () => cos.readings,
    'PUT /api/readings': (body) => Object.assign(cos.readings, parseReadings(body)),
    'POST /api/clock': (body) => {
      clock.advance(Number(Object(body).advance))
      return { now: new Date(clock.now()).toISOString() }
    },
    'POST /api/reset': async () => {
      await reset()
      return {}
    },
  }
  return createServer(async (request, response) => {
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body, null, 2)}\n`)
    // Other pages are refused, even those that may use COS: they must not be able to reset or watch the local cloud.
    const own = { ports: new Set([request.socket.localPort ?? 0]), origins: [] }
    if (guard(request.headers.host ?? '', request.headers, own))
      return void answer(403, { error: 'The control API answers only this machine.' })
    const [path] = (request.url ?? '/').split('?')
    if (request.method === 'PUT' && !path?.startsWith('/api/')) {
      const said = await putPhoto(request, put).catch((error: unknown) => ({ error: String(Object(error).message) }))
      if (typeof said !== 'string') return void answer(400, said)
      return void response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(said)
    }
    const route = routes[`${request.method} ${path}`]
    if (!route) return void answer(404, { error: 'There is no such route.', routes: Object.keys(routes) })
    try {
      answer(200, await route(await readJson(request)))
    } catch (error) {
      answer(400, { error: error instanceof Error ? error.message : String(error) })
    }
  })
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text === '' ? undefined : JSON.parse(text)
}
