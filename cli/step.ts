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
    if (next.done) return { said, result: next.value }
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
