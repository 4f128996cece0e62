import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Clock } from '../clock.ts'
import type { FunctionSpec } from './serverless.ts'
import { atStart, forInvocation, type Way } from './variables.ts'

/** One run of a function, as `GET /api/invocations` shows it. */
export interface InvocationRecord {
  at: string
  id: string
  function: string
  instance: number
  cold: boolean
  /** How many times the same event was delivered before. */
  retry: number
  outcome: 'running' | 'ok' | 'error' | 'timeout' | 'crash'
  /** What was thrown. */
  error?: string
  ms: number
  logs: string[]
}

export interface FunctionOptions {
  spec: FunctionSpec
  /** The folder that would be deployed. */
  dist: URL
  /** The most instances at a time. Further invocations wait. */
  instances: number
  /** Gives the role's credentials; called at every invocation. */
  role: (instance: number) => Record<string, string>
  /** How the function receives its variables and credentials; default `process`, which we expect of Nodejs20.19. */
  variables?: Way
  /** Host names that lead to ports of this machine. */
  hosts?: ReadonlyMap<string, number>
  /** Gives how far the clock of a new instance is ahead, in milliseconds. */
  skew: () => number
  clock: Clock
  /** Called when an invocation starts. The object is completed while the invocation runs. */
  onInvocation: (invocation: InvocationRecord, event: unknown) => void
  /** Called when it has ended. */
  onEnd?: (ran: Ran, event: unknown) => void
}

export interface ScfFunction {
  /** Runs the function once. Rejects with FunctionError if it throws, crashes or runs out of time. */
  invoke(event: unknown, retry?: number): Promise<unknown>
  /** The same; tells of what became of it. */
  run(event: unknown): Promise<Ran>
  /** Ends an instance, or all of them, in the middle of their work. */
  kill(instance?: number): Promise<void>
  /** Ends all instances except those that are idle and whose clock is right. Those stay warm. */
  rest(): Promise<void>
  /** Another takes its place: what it does is done, and its instances end after that. */
  retire(): void
}

/** An invocation that has ended. */
export interface Ran extends InvocationRecord {
  /** What was returned, as JSON. */
  result?: string
}

export class FunctionError extends Error {
  override readonly name: string = 'FunctionError'
}

/** It may not run now: no failure of its own (432 ResourceLimitReached, product/583/39848). */
export class Throttled extends FunctionError {
  override readonly name = 'Throttled'
}

interface Instance {
  id: number
  worker: Worker
  /** How far its clock is ahead, in milliseconds. */
  skew: number
  invocations: number
  current?: InvocationRecord
}

const INSTANCE = new URL('instance.mjs', import.meta.url)

/** A function as SCF runs it: in cold and warm instances, one request at a time in each, with a time limit. */
export function createFunction({
  spec,
  dist,
  instances,
  role,
  variables = 'process',
  hosts = new Map(),
  skew,
  clock,
  onInvocation,
  onEnd,
}: FunctionOptions): ScfFunction {
  const [module, method] = spec.handler.split('.')
  const file = fileURLToPath(new URL(`${module}.js`, dist))
  const idle: Instance[] = []
  const all = new Set<Instance>()
  const waiting: { resolve: (instance: Instance) => void; reject: (error: Error) => void }[] = []
  let started = 0
  let retired = false

  function start(): Instance {
    // It does not inherit our environment, because in the cloud it has only what serverless.yml says.
    const given = atStart(variables, spec.environment, () => role(started + 1))
    const env = { ...given, TENCENTCLOUD_RUNENV: 'SCF', SCF_FUNCTIONNAME: spec.name, TZ: 'UTC' }
    const resourceLimits = { maxOldGenerationSizeMb: spec.memory }
    const ahead = skew()
    const worker = new Worker(INSTANCE, {
      workerData: { file, method, hosts, skew: ahead, ahead: clock.ahead },
      env,
      execArgv: [],
      resourceLimits,
      stdout: true,
      stderr: true,
    })
    const instance: Instance = { id: ++started, worker, skew: ahead, invocations: 0 }
    all.add(instance)
    for (const stream of [worker.stdout, worker.stderr]) {
      createInterface(stream).on('line', (line) => instance.current?.logs.push(line))
    }
    worker.on('error', () => {}) // Without a listener an error would end the local cloud; `exit` follows it.
    worker.on('exit', () => forget(instance))
    return instance
  }

  /** From now on the instance is not used again, although it may take a moment to end. */
  function forget(instance: Instance): void {
    all.delete(instance)
    const place = idle.indexOf(instance)
    if (place >= 0) idle.splice(place, 1)
  }

  async function acquire(): Promise<Instance> {
    const most = Math.min(instances, spec.instances ?? instances)
    if (most === 0) throw new Throttled(`ResourceLimitReached: ${spec.name} may not run`)
    if (all.size - idle.length < most) return idle.pop() ?? start()
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  }

  function release(instance: Instance): void {
    const next = waiting.shift()
    const usable = all.has(instance) ? instance : next && start()
    if (retired && !next) return void end((one) => one === instance)
    if (!usable) return
    if (next) next.resolve(usable)
    else idle.push(usable)
  }

  function dismiss(): void {
    for (const { reject } of waiting.splice(0)) reject(new FunctionError('The function was ended'))
  }

  async function end(which: (instance: Instance) => boolean): Promise<void> {
    const ended = [...all].filter(which)
    for (const one of ended) forget(one)
    await Promise.all(ended.map(({ worker }) => worker.terminate()))
  }

  async function once(event: unknown, retry = 0): Promise<Ran> {
    const payload = JSON.stringify(event)
    const instance = await acquire()
    const began = performance.now()
    const invocation: InvocationRecord = {
      at: new Date(clock.now()).toISOString(),
      id: randomUUID(),
      function: spec.name,
      instance: instance.id,
      cold: instance.invocations++ === 0,
      retry,
      outcome: 'running',
      ms: 0,
      logs: [],
    }
    instance.current = invocation
    onInvocation(invocation, event)
    const { outcome, error, result } = await run(instance, payload, invocation.id)
    const ms = Math.round(performance.now() - began)
    Object.assign(invocation, { outcome, ms, ...(error !== undefined && { error }) })
    release(instance)
    const ran = { ...invocation, ...(result !== undefined && { result }) }
    onEnd?.(ran, event)
    return ran
  }

  return {
    async invoke(event, retry) {
      const { outcome, error, result } = await once(event, retry)
      if (outcome !== 'ok') throw new FunctionError(error)
      return result === undefined ? undefined : JSON.parse(result)
    },

    run: once,

    async kill(instance) {
      if (instance === undefined) dismiss()
      await end(({ id }) => instance === undefined || id === instance)
    },

    async rest() {
      dismiss()
      await end((instance) => !idle.includes(instance) || instance.skew !== 0)
    },

    retire() {
      retired = true
      void end((instance) => idle.includes(instance))
    },
  }

  function run(instance: Instance, event: string, id: string) {
    const { worker } = instance
    const limit = spec.timeout * 1000
    const { set, told } = forInvocation(variables, spec.environment, role(instance.id))
    const context = {
      ...told,
      request_id: id,
      function_name: spec.name,
      function_version: '$LATEST',
      memory_limit_in_mb: spec.memory,
      time_limit_in_ms: limit,
      callbackWaitsForEmptyEventLoop: true,
    }
    return new Promise<{ outcome: InvocationRecord['outcome']; error?: string; result?: string }>((resolve) => {
      const timer = setTimeout(async () => {
        forget(instance)
        done('timeout', `Invoking task timed out after ${spec.timeout} seconds`)
        await worker.terminate()
      }, limit)
      const onMessage = (message: { result?: string; error?: string }) =>
        message.error === undefined ? done('ok', undefined, message.result) : done('error', message.error)
      const onError = (error: Error) => {
        forget(instance)
        done('crash', `${error.name}: ${error.message}`)
      }
      const onExit = () => done('crash', 'The instance ended')
      function done(outcome: InvocationRecord['outcome'], error?: string, result?: string) {
        clearTimeout(timer)
        worker.off('message', onMessage).off('error', onError).off('exit', onExit)
        resolve({ outcome, ...(error !== undefined && { error }), ...(result !== undefined && { result }) })
      }
      worker.on('message', onMessage).on('error', onError).on('exit', onExit)
      worker.postMessage({ event, environment: set, context, deadline: Date.now() + limit })
    })
  }
}
