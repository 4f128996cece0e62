import { MattingError } from '../lib/errors.ts'
import { type Account, type ApiCall, ask, type BucketCall, call, type Fields } from './api.ts'

/** One change to the account, in words and as the request that makes it. */
export interface Change {
  say: string
  call: ApiCall | BucketCall
  /** Waits until what was changed can be used. */
  ready?: () => Promise<unknown>
}

/**
 * A step looks at what is there and yields what is missing, change by change; each is answered with what the API said. So what
 * is stopped anywhere goes on from there when it is run again, and what would be done can be shown without doing it.
 */
export type Step<T = void> = AsyncGenerator<Change, T, Fields>

/** Makes the changes. */
export type Apply = (change: Change) => Promise<Fields>

export async function apply(account: Account, { call: request, ready }: Change): Promise<Fields> {
  const answer = 'service' in request ? await call(account, request) : await ask(account, request).then(() => ({}))
  await ready?.()
  return answer
}

/** What is not known before it is done stands as its name: `<TopicId>`. */
export const UNKNOWN: Fields = new Proxy({}, { get: (_, name) => `<${String(name)}>` })

/** Goes through a step. Returns what it did, and what came of it. */
export async function go<T>(step: Step<T>, make: Apply): Promise<{ said: string[]; result: T }> {
  const said: string[] = []
  for (let next = await step.next(); ; ) {
    if (next.done) return { said: [...new Set(said)], result: next.value }
    const { say } = next.value
    try {
      const answer = await make(next.value)
      said.push(say)
      next = await step.next(answer)
    } catch (error) {
      // A step may have another way; one that has none throws the error again.
      next = await step.throw(error)
    }
  }
}

export interface Report {
  /** Only show: all requests, or the differences in words. */
  only?: 'requests' | 'differences' | undefined
  print: (line: string) => void
  /** Makes a change; by default by the request that it holds. */
  make?: Apply
}

/**
 * Runs steps one after another, each told in one line: what was done, or what it found if that is a text. Counts what was done,
 * or would be.
 */
export function createRun(account: Account, mask: (text: string) => string, report: Report) {
  const { only, make = (change) => apply(account, change) } = report
  const print = (line: string) => report.print(mask(line))
  const done = { changes: 0 }
  const show: Apply = async (change) => {
    if (only === 'requests') {
      print(`  ${change.say}`)
      print(request(account, change))
    }
    return UNKNOWN
  }
  const run = async <T>(noun: string, step: Step<T> | (() => Promise<T>)): Promise<T> => {
    const name = noun.padEnd(10)
    if (only === 'requests') print(noun)
    try {
      // What only looks is no step, but a function.
      const { said, result } =
        typeof step === 'function' ? { said: [], result: await step() } : await go(step, only ? show : make)
      done.changes += said.length
      if (only === 'differences') for (const what of said) print(`~ ${name} ${what}`)
      if (!only) print(`✓ ${name} ${said.join('; ') || (typeof result === 'string' ? result : 'nothing to do')}`)
      return result
    } catch (error) {
      if (!(error instanceof MattingError)) throw error
      throw new MattingError(error.code, mask(`✗ ${name} ${error.message}`), { cause: error })
    }
  }
  return { run, done, print }
}

/** A change as the request that makes it; the archive is named instead of shown. */
function request({ region }: Account, { call }: Change): string {
  if ('service' in call) {
    const hide = (name: string, value: unknown) => (name === 'ZipFile' ? '<dist/ as a zip>' : value)
    return `    ${call.service} ${call.action} ${JSON.stringify(call.params, hide)}`
  }
  const query = Object.keys(call.query ?? {}).map((name) => `?${name}`)
  const target = `${call.bucket}.${call.door}.${region}.myqcloud.com/${call.key}${query.join('')}`
  return `    ${call.method} ${target}${call.body ? ` ${call.body}` : ''}`
}
