import type { Invocation } from '../lib/invocation.ts'
import type { Operator } from './operator.ts'
import type { Price } from './price.ts'
import { fromFile, listed, type Scope } from './sources.ts'
import { survey, type Verdict } from './survey.ts'

/** What a backfill is told to do. */
export interface Job {
  scope: Scope
  /** The most calls that are paid. */
  limit?: number | undefined
  /** Paid requests a second. */
  qps: number
  price?: Price | undefined
}

/** Looks at the objects of a scope. */
export async function* surveyed(operator: Operator, invocation: Invocation, scope: Scope): AsyncGenerator<Verdict> {
  const { folders, since, from, inventory } = scope
  const { account, config } = operator
  const { fromInventory } = inventory === undefined ? { fromInventory: undefined } : await import('./inventory.ts')
  const pages =
    from !== undefined
      ? fromFile(from, folders)
      : fromInventory && inventory !== undefined
        ? fromInventory(account, config.bucket, inventory, folders)
        : listed(invocation, folders)
  yield* survey(invocation, pages, since)
}
