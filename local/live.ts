import type { IncomingMessage, ServerResponse } from 'node:http'
import { sourceKey, splitCutout } from '../lib/cutout.ts'
import type { Configured } from './configured.ts'
import type { Cos, RequestRecord } from './cos/cos.ts'
import type { Cutting } from './cutting.ts'
import { json } from './json.ts'
import type { LiveEvents, Meter } from './page/wire.ts'
import type { Receiver } from './receiver.ts'
import type { InvocationRecord } from './scf/function.ts'
import type { Scf, Told } from './scf/scf.ts'

export interface LiveOptions {
  cos: Cos
  scf: Scf
  cutting: Cutting
  configured: Configured
  meter: () => Meter
  receiver: Pick<Receiver, 'watch'> | undefined
  /** Origin of the page. */
  page: () => string
}

/** Changes that come together are told once; in milliseconds. */
const GATHER = 50
/** What a reader has not taken yet, in bytes; with more, it misses what happens. */
const MOST_UNREAD = 256 * 1024
const MOST_READERS = 32
/** When a browser connects again, in milliseconds. */
const RETRY = 1_000

export interface Live {
  /** Answers a request. False if there are too many readers. */
  open(request: IncomingMessage, response: ServerResponse): boolean
  /** Tells that all is gone, which no request has told. */
  reset(): void
}

/** Tells what happens inside, as server-sent events (HTML, 9.2). While nobody listens it watches nothing. */
export function createLive(options: LiveOptions): Live {
  const { cos, scf, cutting, configured, meter, receiver, page } = options
  const readers = new Map<ServerResponse, { missed: number }>()
  const stops: (() => void)[] = []
  const changed = new Set<string>()
  let id = 0
  let gathering: NodeJS.Timeout | undefined

  function send<K extends keyof LiveEvents>(type: K, data: LiveEvents[K]): void {
    const text = format(++id, type, data)
    for (const [response, reader] of readers) {
      if (response.writableLength > MOST_UNREAD) reader.missed++
      else response.write(text)
    }
  }

  /** The reader has taken all of it. */
  function drained(response: ServerResponse): void {
    const reader = readers.get(response)
    if (!reader?.missed) return
    response.write(format(id, 'missed', { events: reader.missed }))
    reader.missed = 0
  }

  function change(key: string): void {
    if (key !== '') changed.add(key)
    gathering ??= setTimeout(() => {
      gathering = undefined
      for (const one of changed) send('photo', { key: one })
      changed.clear()
      send('meter', meter())
    }, GATHER)
  }

  function onRequest(record: RequestRecord): void {
    const { method, operation, key, path, status, ms, paid, code } = record
    const who =
      record.by === 'function' ? 'function' : record.page === page() || record.page === 'same-site' ? 'page' : 'other'
    const what = { method, operation, ...(key !== '' && { key }), path, status, ms, who, paid } as const
    send('request', { ...what, ...(code !== '' && { code }) })
    if (method === 'GET' || method === 'HEAD') {
      // Views are counted.
      if (paid > 0 || operation === 'BasicImageProcessing') change('')
      return
    }
    const config = configured.upload()
    const cutout = splitCutout(key)
    const source = config && cutout && sourceKey(config.cutoutPrefix, cutout.folder)
    if (source !== undefined) change(source)
    else if (config?.sourcePrefixes.some((prefix) => key.startsWith(prefix))) change(key)
  }

  function onInvocation(of: Told): void {
    if ('began' in of) send('invocation', describe(of.began, scf.keyOf(of.event)))
    // Nothing is under way for its photo any more.
    if ('letter' in of) change(scf.keyOf(json(of.letter.Body.ClientContext)))
    if (!('ran' in of)) return
    const key = scf.keyOf(of.event)
    send('invocation', describe(of.ran, key))
    change(key)
  }

  function begin(): void {
    stops.push(cos.watch(onRequest), scf.watch(onInvocation))
    stops.push(cutting.watch((picture) => send('cutting', picture)))
    if (receiver) stops.push(receiver.watch((event) => send('announced', event)))
  }

  function end(): void {
    for (const stop of stops.splice(0)) stop()
    clearTimeout(gathering)
    gathering = undefined
    changed.clear()
  }

  function open(request: IncomingMessage, response: ServerResponse): boolean {
    if (readers.size >= MOST_READERS) return false
    if (readers.size === 0) begin()
    readers.set(response, { missed: 0 })
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write(`retry: ${RETRY}\n\n`)
    // What happened since is not kept.
    const last = request.headers['last-event-id']
    if (last !== undefined) response.write(format(id, 'missed', { events: Math.max(0, id - Number(last) || 0) }))
    response.write(format(id, 'meter', meter()))
    response.on('drain', () => drained(response))
    response.once('close', () => {
      readers.delete(response)
      if (readers.size === 0) end()
    })
    return true
  }

  function reset(): void {
    if (readers.size === 0) return
    send('reset', {})
    change('')
  }

  return { open, reset }
}

/** JSON has no line breaks, so whatever a key holds, it is one line. */
function format<K extends keyof LiveEvents>(id: number, type: K, data: LiveEvents[K]): string {
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}

function describe(invocation: InvocationRecord, key: string): LiveEvents['invocation'] {
  const { function: name, id, instance, cold, retry, ms, outcome, logs, error } = invocation
  const lines = logs.map(json)
  const paid = lines.reduce((sum, line) => sum + (Number(line.paid) || 0), 0)
  const { why, code, message } = lines.find((line) => line.why ?? line.code) ?? {}
  const reason = error ?? why ?? (code && `${code}: ${message}`)
  return {
    function: name,
    id,
    instance: String(instance),
    cold,
    retry,
    ms,
    outcome,
    ...(key !== '' && { key }),
    paid,
    ...(reason !== undefined && reason !== '' && { why: String(reason) }),
  }
}
