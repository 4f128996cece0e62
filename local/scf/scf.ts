import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../clock.ts'
import type { Key, ObjectEvent } from '../cos/cos.ts'
import type { Policy } from '../cos/policy.ts'
import type { Faults } from '../faults.ts'
import type { Pages } from '../guard.ts'
import { cosEvent, eventName, isRemoval, keyOf } from './event.ts'
import { createFunction, type InvocationRecord, type Ran, type ScfFunction } from './function.ts'
import { createQueue, type DeadLetter } from './queue.ts'
import { createRole } from './role.ts'
import type { CosTrigger, FunctionSpec, Serverless } from './serverless.ts'
import { createUrlServer } from './url.ts'
import type { Way } from './variables.ts'

export interface ScfOptions {
  serverless: Serverless
  /** No event is delivered before: functions that are deployed are not known yet. */
  ready?: Promise<unknown>
  /** The folder that would be deployed. */
  dist: URL
  /** The folder in which events wait. */
  dir: string
  /** Port of the function URL; 0 takes a free one. */
  port: number
  /** The keys of the local COS. The temporary credentials of the roles are added to them. */
  keys: Map<string, Key>
  /** Function → what its role may do. */
  policies: ReadonlyMap<string, Policy>
  /** Host names that lead to ports of this machine, for the functions. The function URL also answers to them. */
  hosts: ReadonlyMap<string, number>
  faults: Faults
  clock: Clock
  /** The web pages that may use the function URL. Its own port is added. */
  pages: Pages
  /** The most instances of a function. */
  instances: number
  retryDelay: number
  eventKeys: 'encoded' | 'raw'
  paths: 'raw' | 'decoded'
  variables: Way
}

/** What a listener is told: that an invocation has begun or ended, or that an event was given up. */
export type Told = { began: InvocationRecord; event: unknown } | { ran: Ran; event: unknown } | { letter: DeadLetter }

export interface Scf {
  port: number
  /** Receives an object's event. Resolves when it is safe on disk. */
  onEvent(event: ObjectEvent): Promise<void>
  /** Delivers an event to a function, as a trigger does; resolves with its id. */
  push(name: string, event: unknown): Promise<string>
  /** Runs a function once. @throws Error if there is none of this name, or it may not run */
  run(name: string, event: unknown): Promise<Ran>
  /** Has these functions, triggers and URLs instead; functions whose spec is the same object go on as they are. */
  apply(serverless: Serverless): void
  /** The functions that run, and what goes to them. */
  serverless(): Serverless
  invocations(): InvocationRecord[]
  /** The key that an event, a dead letter or an invocation is about; '' if it names none. */
  keyOf(of: unknown): string
  /** Whether an event or an invocation is about an object that is gone. */
  isRemoval(of: unknown): boolean
  /** The events that are waiting or being handled. They hold signatures. */
  pending(): { event: unknown; failures: number; since?: number }[]
  /** Tells of each invocation and each event that was given up, from now on. Returns how to end it. */
  watch(listener: (told: Told) => void): () => void
  deadLetters(): DeadLetter[]
  /** Removes dead letters, by id. */
  drop(ids: readonly string[]): Promise<void>
  /** Ends the instance that received these credentials. */
  kill(secretId: string): void
  /** How many events are waiting or being handled. */
  waiting(): number
  /** Resolves when all events have been handled. */
  idle(): Promise<void>
  /** Removes events, dead letters and records, and ends all instances, except for idle ones of the functions that stay warm. */
  reset(warm?: readonly string[]): Promise<void>
  close(): Promise<void>
}

const KEPT_INVOCATIONS = 10_000

/** SCF as seen from outside: runs the built functions of a serverless.yml, their object triggers and their URL. */
export async function startScf(options: ScfOptions): Promise<Scf> {
  const { dist, dir, keys, policies, hosts, faults, variables, clock } = options
  const invocations: InvocationRecord[] = []
  /** What each was about. */
  const events = new WeakMap<object, unknown>()
  const onInvocation = (invocation: InvocationRecord, event: unknown) => {
    invocations.push(invocation)
    events.set(invocation, event)
    if (invocations.length > KEPT_INVOCATIONS) invocations.shift()
    tell({ began: invocation, event })
  }
  const listeners = new Set<(told: Told) => void>()
  const tell = (told: Told) => {
    for (const listener of listeners) listener(told)
  }
  const role = createRole(keys, clock)
  const skew = () => faults.draw(['Instance']).reduce((sum, { kind, ms = 0 }) => sum + (kind === 'skew' ? ms : 0), 0)
  const functions = new Map<string, { spec: FunctionSpec; target: ScfFunction }>()
  /** They may still be at work. */
  const retired = new Set<ScfFunction>()
  let serverless: Serverless = { functions: [], cosTriggers: [], urls: [] }
  function apply(next: Serverless): void {
    for (const [name, { spec, target }] of functions) {
      if (next.functions.includes(spec)) continue
      target.retire()
      retired.add(target)
      functions.delete(name)
    }
    for (const spec of next.functions) {
      if (functions.has(spec.name)) continue
      const { code = dist, policy } = spec
      // Asked anew for every request: what a role may do changes while it is used.
      const may = policy
        ? {
            get statements() {
              return policy()?.statements ?? []
            },
          }
        : policies.get(spec.name)
      const onEnd = (ran: Ran, event: unknown) => tell({ ran, event })
      const settings = {
        spec,
        dist: code,
        instances: options.instances,
        variables,
        hosts,
        skew,
        clock,
        onInvocation,
        onEnd,
      }
      const given = role(spec.name, may)
      const credentials = (instance: number) => (policy && !policy() ? {} : given(instance))
      functions.set(spec.name, { spec, target: createFunction({ ...settings, role: credentials }) })
    }
    serverless = next
  }
  apply(options.serverless)
  function find(name: string | undefined): ScfFunction {
    const { target } = functions.get(name ?? '') ?? {}
    if (!target) throw new Error(`There is no function ${name}`)
    return target
  }
  const invoke = async (name: string | undefined, event: unknown, retry = 0) => {
    await options.ready
    return find(name).invoke(event, retry)
  }
  const settings = (name: string) => functions.get(name)?.spec
  const onDead = (letter: DeadLetter) => tell({ letter })
  const queue = await createQueue({ dir, invoke, retries: 2, settings, retryDelay: options.retryDelay, clock, onDead })
  const byUrl = (event: unknown) => (serverless.urls[0] === undefined ? undefined : invoke(serverless.urls[0], event))
  const server = createUrlServer(byUrl, options.paths, options.pages, hosts)
  // With Node's default backlog of 511, some of a thousand simultaneous connections would be reset.
  server.listen(options.port, '127.0.0.1', 4096)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  options.pages.ports.add(port)

  return {
    port,

    async onEvent(event) {
      const triggers = serverless.cosTriggers.filter((trigger) => matches(trigger, event))
      if (triggers.length === 0) return
      const struck = faults.draw(['Event'], event.key)
      const delay = struck.reduce((sum, fault) => sum + (fault.kind === 'delay' ? (fault.ms ?? 0) : 0), 0)
      if (struck.some((fault) => fault.kind === 'drop')) return
      const copies = 1 + struck.filter((fault) => fault.kind === 'duplicate').length
      for (const trigger of triggers) {
        const payload = cosEvent(event, options.eventKeys)
        for (let copy = 0; copy < copies; copy++) await queue.push(trigger.function, payload, delay)
      }
    },

    kill(secretId) {
      const [, name = '', instance] = /^local-role-(.+)-(\d+)-/.exec(secretId) ?? []
      functions.get(name)?.target.kill(Number(instance))
    },

    push: (name, event) => queue.push(name, event),
    run: async (name, event) => find(name).run(event),
    apply,
    serverless: () => serverless,
    invocations: () => [...invocations],
    keyOf: (of) => keyOf(events.get(Object(of)) ?? of, options),
    isRemoval: (of) => isRemoval(events.get(Object(of)) ?? of),
    pending: queue.pending,
    watch(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    deadLetters: queue.deadLetters,
    drop: queue.drop,
    waiting: queue.waiting,
    idle: queue.idle,

    async reset(warm = []) {
      await queue.reset()
      await Promise.all(
        [...functions].map(([name, { target }]) => (warm.includes(name) ? target.rest() : target.kill())),
      )
      invocations.length = 0
    },

    async close() {
      server.closeAllConnections()
      server.close()
      const closing = queue.close()
      await kill()
      await closing
    },
  }

  async function kill(): Promise<void> {
    await Promise.all(
      [...retired, ...[...functions.values()].map(({ target }) => target)].map((target) => target.kill()),
    )
  }
}

function matches(trigger: CosTrigger, event: ObjectEvent): boolean {
  const name = eventName(event)
  const wanted = trigger.events
  return (
    trigger.bucket === `${event.bucket}.cos.${event.region}.myqcloud.com` &&
    (wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted) &&
    event.key.startsWith(trigger.prefix) &&
    event.key.endsWith(trigger.suffix)
  )
}
