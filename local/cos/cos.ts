import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultKind } from '../faults.ts'
import { holdFolder } from '../folder.ts'
import { guard } from '../guard.ts'
import { welcome } from '../welcome.ts'
import { type Answer, isRefusalCode, newRequestId, Refusal, refusalAnswer } from './answer.ts'
import type { BillItem, ProcessingCount } from './bill.ts'
import { type Asked, cors, preflight } from './cors.ts'
import type { Objects } from './objects.ts'
import { actionsOf, isPaid, needsOf, operationOf, refuseUnknown } from './operation.ts'
import { allows } from './policy.ts'
import type { Readings } from './readings.ts'
import { pageOf, type RequestRecord, Requests } from './record.ts'
import { type CosRequest, isVendorHost, readRequest, readTarget, safeTarget } from './request.ts'
import { asRefusal, listen, refuseBroken, send } from './send.ts'
import { type Call, type CosOptions, openState, type State } from './state.ts'
import { checkStrict } from './strict.ts'
import { verify } from './verify.ts'

export type { BillItem } from './bill.ts'
export type { Stored } from './objects.ts'
export { type Policy, parsePolicy } from './policy.ts'
export type { RequestRecord } from './record.ts'
export type { CosOptions, ObjectEvent } from './state.ts'
export type { Key } from './verify.ts'

export interface Cos {
  port: number
  hasBucket(name: string): boolean
  bill(): BillItem[]
  processing(): ProcessingCount
  /** How what is not documented is taken. It may be changed at any time, and stays over a reset. */
  readings: Readings
  /** The last 10,000 requests. */
  requests(): RequestRecord[]
  /** Tells of each request just before it is answered, from now on. Returns how to end it. */
  watch(listener: (record: RequestRecord) => void): () => void
  /** What is stored, for whoever shows it: no request is made, and none is recorded. */
  objects: Pick<Objects, 'get' | 'from' | 'stream'>
  /** Removes objects, uploads, bill and requests. Buckets and their settings stay. */
  reset(): Promise<void>
  close(): Promise<void>
}

/** How long close() and reset() wait for running requests, in milliseconds; the body of one may never end. */
const CLOSE_LIMIT = 5_000

/**
 * Tencent COS and Cloud Infinite as seen from outside, on 127.0.0.1. It is also an HTTP proxy for the vendor's host names:
 * `curl -x http://127.0.0.1:<port> http://<bucket>.cos.<region>.myqcloud.com/<key>`.
 */
export async function startCos(options: CosOptions): Promise<Cos> {
  const under = new Set<Promise<void>>()
  const requests = new Requests()
  const server = createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 64 * 1024 })
  // Before the folder is touched, so that a second process on the same port fails here.
  await listen(server, options.port)
  let letGo = () => {}
  let state: State
  try {
    letGo = await holdFolder(options.dir)
    state = openState(options)
  } catch (error) {
    letGo()
    server.close()
    throw error
  }
  const { port } = server.address() as AddressInfo
  state.pages.ports.add(port)
  server.on('request', (message, response) => {
    const done = serve(state, message, response, requests)
    under.add(done)
    done.finally(() => under.delete(done))
  })
  server.on('clientError', refuseBroken)
  // A request that still runs would write into a folder that was emptied or released.
  const settled = () => Promise.race([Promise.allSettled(under), sleep(CLOSE_LIMIT, undefined, { ref: false })])
  return {
    port,
    hasBucket: (name) => state.buckets.get(name) !== undefined,
    bill: () => state.bill.items(),
    processing: () => state.bill.processing.count(),
    readings: state.readings,
    requests: () => requests.list(),
    watch: (listener) => requests.watch(listener),
    objects: state.objects,
    async reset() {
      await settled()
      state.objects.clear()
      state.uploads.clear()
      state.bill.clear()
      requests.clear()
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      options.faults.release()
      await settled()
      server.closeAllConnections()
      await closed
      letGo()
    },
  }
}

/** Answers one request, and records it just before the answer is sent. Never rejects. */
async function serve(
  state: State,
  message: IncomingMessage,
  response: ServerResponse,
  requests: Requests,
): Promise<void> {
  const started = performance.now()
  const at = new Date(state.now()).toISOString()
  const id = newRequestId(state.now())
  const method = message.method ?? ''
  const path = message.url?.startsWith('/') ? (message.url.split('?', 1)[0] ?? '') : ''
  const page = pageOf(message.headers)
  const outcome: Outcome = { operation: '', method, path, key: '', by: '', paid: 0, code: '', server: 'tencent-cos' }
  let answer: Answer | undefined
  try {
    answer = await answerTo(state, message, id, outcome)
  } catch (error) {
    const refusal = asRefusal(error, message, outcome.operation)
    outcome.code = refusal.code
    answer = refusalAnswer(refusal, outcome.path.split('?', 1)[0] ?? '', id)
  }
  const ms = Math.round(performance.now() - started)
  const { operation, key, by, paid, code } = outcome
  requests.add({
    at,
    id,
    operation,
    method,
    path: outcome.path,
    status: answer?.status ?? 0,
    ms,
    key,
    by,
    page,
    paid,
    code,
  })
  if (!answer) {
    message.socket.resetAndDestroy()
    return
  }
  const headers: Record<string, string> = {
    Server: outcome.server,
    Date: new Date(state.now()).toUTCString(),
    'x-cos-request-id': id,
    ...answer.headers,
  }
  try {
    await send(message, response, { ...answer, headers: { ...headers, ...cors(headers, outcome) } })
  } catch (error) {
    console.error(`local COS: ${outcome.operation} could not be answered:`, error)
    message.socket.destroy()
  }
}

interface Outcome extends Asked, Pick<RequestRecord, 'operation' | 'path' | 'key' | 'by' | 'paid' | 'code'> {
  server: 'tencent-ci' | 'tencent-cos'
}

/** @returns undefined if a fault takes the connection away */
async function answerTo(
  state: State,
  message: IncomingMessage,
  id: string,
  outcome: Outcome,
): Promise<Answer | undefined> {
  const isOwn = (name: string) => isVendorHost(name) || state.hosts?.has(name) === true
  // Pages that a bucket's rules name may use it, to the letter: those that a `*` stands for are anybody's, and the keys known to all.
  const named = state.buckets.list().flatMap(([, { cors }]) => cors?.rules.flatMap(({ origins }) => origins) ?? [])
  const pages = {
    ...state.pages,
    origins: [...state.pages.origins, ...named],
  }
  const refused = guard(readTarget(message).host, message.headers, pages, isOwn)
  if (refused) throw new Refusal('AccessDenied', refused)
  const greeting = welcome(message, state.pages.own)
  if (greeting) return greeting
  outcome.origin = message.headers.origin
  const request = readRequest(message, id, state)
  outcome.path = safeTarget(request)
  outcome.key = request.key
  // The page of the local cloud works whatever a bucket's rules say: they are about other pages.
  if (outcome.origin === undefined || outcome.origin !== state.pages.own)
    outcome.cors = state.buckets.get(request.bucket)?.cors
  if (request.method === 'OPTIONS') {
    outcome.operation = 'OptionsObject'
    return preflight(request, outcome.cors)
  }
  const operation = operationOf(request)
  outcome.operation = operation?.name ?? 'NotImplemented'
  const paid = isPaid(operation, request)
  if (paid || request.door !== 'cos') outcome.server = 'tencent-ci'
  checkBucket(state, request, outcome.operation)
  const began = state.now()
  const { id: asker, policy, ...signed } = verify(request, state.keys, began)
  outcome.by = asker.startsWith('local-role-') ? 'function' : 'other'
  // The refusals of the real COS come first, then those of what only the local cloud does not implement.
  if (operation) checkStrict(state, request, actionsOf(operation, request), signed)
  refuseUnknown(operation, request)
  if (policy) {
    for (const need of needsOf(state, operation, request))
      if (!allows(policy, need, state.buckets.get(need.bucket)?.region ?? request.region))
        throw new Refusal('AccessDenied')
  }

  const struck = state.faults.draw([operation.name, ...(paid ? ['GoodsMatting'] : [])], request.key)
  for (const { kind, ms } of struck) {
    if (kind === 'delay') await sleep(ms ?? 0)
    if (kind === 'hold') await state.faults.hold(request.key)
  }
  const has = (kind: FaultKind) => struck.some((fault) => fault.kind === kind)
  const error = struck.find(({ kind }) => kind === 'error')
  if (error) throw new Refusal(isRefusalCode(error.code) ? error.code : 'InternalError')
  if (has('slow-down')) throw new Refusal('SlowDown')
  if (has('reset')) return undefined
  if (has('error-in-200') && paid) {
    outcome.code = 'InternalError'
    return { ...refusalAnswer(new Refusal('InternalError'), request.rawPath, id), status: 200 }
  }
  const race = struck.find(({ kind }) => kind === 'race')?.ms ?? 0
  const lose = has('lose-answer') || has('kill')
  const call: Call = { request, began, lose, drop: has('drop-result'), race, billed: 0 }
  const answer = await operation.run(state, call).finally(() => {
    outcome.paid = call.billed
  })
  if (has('kill')) state.onKill?.(asker)
  if (!call.lose) return answer
  if (answer.body instanceof Readable) answer.body.destroy()
  return undefined
}

function checkBucket(state: State, { bucket, region }: CosRequest, operation: string): void {
  if (operation === 'PutBucket' || operation === 'DescribeAIBuckets' || bucket === '') return
  if (state.buckets.get(bucket)?.region !== region) throw new Refusal('NoSuchBucket')
}
