import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { checkFolder, isFileId, parseJson } from '../folder.ts'
import { Throttled } from './function.ts'
import type { FunctionSpec } from './serverless.ts'

/** An event that is to be delivered to a function. */
interface Job {
  id: string
  function: string
  event: unknown
  /** How many deliveries have failed. */
  failures: number
  /** When it came, ms since the epoch; missing in those of older versions. */
  since?: number
}

/**
 * An event that was given up: what SCF sends to a dead-letter queue (product/583/39704), and what the local cloud adds to it.
 */
export interface DeadLetter {
  at: string
  id: string
  function: string
  RequestId: string
  ErrorCode: number
  ErrorMessage: string
  /** `ClientContext` is the event as JSON. */
  Body: { FunctionName: string; Namespace: string; Qualifier: string; ClientContext: string; RequestId: string }
}

/** A dead letter in the form of older versions, before they had the vendor's form. */
interface OldLetter {
  at: string
  id: string
  function: string
  event: unknown
  error: string
}

export interface QueueOptions {
  dir: string
  invoke: (name: string, event: unknown, retry: number) => Promise<unknown>
  /** How often a failed event is delivered again; SCF does it twice. */
  retries: number
  /** What a function's own settings say instead; undefined if the function is gone, and with it what waits for it. */
  settings?: (name: string) => Pick<FunctionSpec, 'retries' | 'age' | 'deadLetters'> | undefined
  /** Pause before a retry, in milliseconds; SCF waits one minute. */
  retryDelay: number
  clock: Clock
  /** Called when an event was given up. */
  onDead?: (letter: DeadLetter) => void
}

export interface Queue {
  /** Resolves with its id when the event is safe on disk. It is delivered after `delay` milliseconds. */
  push(name: string, event: unknown, delay?: number): Promise<string>
  deadLetters(): DeadLetter[]
  /** Removes dead letters, by id. */
  drop(ids: readonly string[]): Promise<void>
  /** How many events are waiting or being handled. */
  waiting(): number
  /** These events. */
  pending(): Job[]
  /** Resolves when no event is waiting or being handled. */
  idle(): Promise<void>
  reset(): Promise<void>
  /** Stops deliveries. Waiting events stay on disk for the next start. */
  close(): Promise<void>
}

/**
 * SCF's asynchronous invocation: an event is delivered at least once, retried, and at last kept as a dead letter. Events
 * survive the end of the process.
 */
export async function createQueue(options: QueueOptions): Promise<Queue> {
  const { dir, invoke, retryDelay, clock, settings = () => NONE } = options
  const waitingDir = join(dir, 'waiting')
  const deadDir = join(dir, 'dead')
  const timers = new Set<() => void>()
  const running = new Set<Promise<void>>()
  const pending = new Set<Job>()
  const dead: DeadLetter[] = []
  let epoch = 0
  let closed = false

  await mkdir(waitingDir, { recursive: true })
  await mkdir(deadDir, { recursive: true })
  checkFolder(dir)
  for (const name of (await files(deadDir)).sort()) {
    const letter: DeadLetter | OldLetter = JSON.parse(await readFile(join(deadDir, name), 'utf8'))
    dead.push('Body' in letter ? letter : toLetter(letter))
  }
  for (const name of await files(waitingDir)) schedule(await readJob(waitingDir, name), 0)

  function schedule(job: Job, delay: number): void {
    pending.add(job)
    const stop = clock.after(delay, () => {
      timers.delete(stop)
      // An error here, such as a full disk, must not end the local cloud. The event is delivered at the next start.
      const run = deliver(job).catch((error: unknown) => console.error(`local SCF: ${String(error)}`))
      run.finally(() => {
        running.delete(run)
        pending.delete(job)
      })
      running.add(run)
    })
    timers.add(stop)
  }

  async function deliver(job: Job): Promise<void> {
    const born = epoch
    const file = join(waitingDir, `${job.id}.json`)
    try {
      await invoke(job.function, job.event, job.failures)
      await rm(file, { force: true })
    } catch (error) {
      // A reset or the end of the process interrupted it, so the function has not failed.
      if (closed || born !== epoch) return
      const {
        retries = options.retries,
        age = Number.POSITIVE_INFINITY,
        deadLetters = true,
      } = settings(job.function) ?? GONE
      // What may not run has not failed: it waits for as long as events are kept (product/583/41138).
      const failures = job.failures + (error instanceof Throttled ? 0 : 1)
      if (failures <= retries && clock.now() + retryDelay - (job.since ?? clock.now()) < age) {
        await save(file, { ...job, failures })
        schedule({ ...job, failures }, retryDelay)
        return
      }
      // "Without a dead-letter queue, it is dropped."
      if (!deadLetters) return void (await rm(file, { force: true }))
      const at = new Date(clock.now()).toISOString()
      const letter = toLetter({ at, id: job.id, function: job.function, event: job.event, error: String(error) })
      dead.push(letter)
      await save(join(deadDir, `${at.replaceAll(':', '')}-${job.id}.json`), letter)
      await rm(file, { force: true })
      options.onDead?.(letter)
    }
  }

  return {
    async push(name, event, delay = 0) {
      const job: Job = { id: randomUUID(), function: name, event, failures: 0, since: clock.now() }
      await save(join(waitingDir, `${job.id}.json`), job)
      if (!closed) schedule(job, delay)
      return job.id
    },

    deadLetters: () => [...dead],

    async drop(ids) {
      const kept = dead.filter(({ id }) => !ids.includes(id))
      dead.splice(0, dead.length, ...kept)
      for (const name of await files(deadDir)) {
        if (ids.some((id) => name.endsWith(`-${id}.json`))) await rm(join(deadDir, name), { force: true })
      }
    },

    waiting: () => timers.size + running.size,
    pending: () => [...pending],

    async idle() {
      while (timers.size > 0 || running.size > 0) {
        await Promise.all(running)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },

    async reset() {
      epoch++
      for (const stop of timers) stop()
      timers.clear()
      pending.clear()
      dead.length = 0
      for (const folder of [waitingDir, deadDir]) {
        for (const name of await files(folder)) await rm(join(folder, name), { force: true })
      }
    },

    async close() {
      closed = true
      for (const stop of timers) stop()
      timers.clear()
      await Promise.all(running)
    },
  }
}

/** Settings of no function's own. */
const NONE: Pick<FunctionSpec, 'retries' | 'age' | 'deadLetters'> = {}
const GONE = { retries: 0, age: 0, deadLetters: false }

function toLetter({ at, id, function: name, event, error }: OldLetter): DeadLetter {
  const ClientContext = JSON.stringify(event)
  const Body = { FunctionName: name, Namespace: 'default', Qualifier: '$DEFAULT', ClientContext, RequestId: id }
  return { at, id, function: name, RequestId: id, ErrorCode: -1, ErrorMessage: error, Body }
}

async function files(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith('.json'))
}

/** Reads a job. Its id must be the name of its file, because the file is later removed by that name. */
async function readJob(dir: string, name: string): Promise<Job> {
  const value = parseJson(await readFile(join(dir, name), 'utf8')) as Partial<Record<keyof Job, unknown>>
  const { id, function: to, failures } = value
  if (isFileId(id) && name === `${id}.json` && typeof to === 'string' && typeof failures === 'number')
    return value as Job
  throw new Error(`${join(dir, name)} does not describe an event of this folder.`)
}

/** Writes the file completely or not at all, even if the process is killed. */
async function save(file: string, value: unknown): Promise<void> {
  await writeFile(`${file}.tmp`, JSON.stringify(value))
  await rename(`${file}.tmp`, file)
}
