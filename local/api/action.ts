import type { Ran } from '../scf/function.ts'
import type { Serverless } from '../scf/serverless.ts'
import type { Account } from './account.ts'

/** What the actions share. */
export interface Call {
  account: Account
  region: string
  /** ms since the epoch */
  now: number
  /** How many looks at a function its states last. */
  polls: number
  /** The runtimes that a function may have. */
  runtimes: readonly string[]
  /** Where functions with a URL answer. */
  url: string
  /** Whether there is a bucket of this name, in this region. */
  hasBucket(name: string): boolean
  /** A fault makes what is under way fail. */
  fails: boolean
  platform: Platform
}

/** Answers a call; the account is saved after it. @throws ApiError */
export type Action = (call: Call, values: Readonly<Record<string, unknown>>) => object | Promise<object>

/** What runs the functions. */
export interface Platform {
  /** Runs these functions, and no others; those whose settings are the same object go on as they are. */
  apply(all: Serverless): void
  /** Runs a function once. */
  run(name: string, event: unknown): Promise<Ran>
  /** Hands an event over, to be delivered later. */
  push(name: string, event: unknown): Promise<string>
}
