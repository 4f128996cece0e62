import type { Cos } from '../lib/cos.ts'
import { receiptsBehind, receiptsFrom } from '../lib/pay/pay.ts'

/** The clocks of those who write receipts differ by so much at most, in milliseconds: COS tells whole seconds. */
const LAG = 10_000

/** Counts the calls that anybody pays from now on, by the receipts. */
export interface Spending {
  /** Those since the last look. Takes one LIST, as long as few are paid. */
  look(): Promise<number>
}

/** Starts to count. What was paid before is not counted, however late its receipt is seen. */
export async function openSpending(store: Cos): Promise<Spending> {
  const seen = new Set<string>()
  let after = receiptsFrom(store.clock() - LAG)
  const look = async () => {
    let sum = 0
    const next = receiptsFrom(store.clock() - LAG)
    const day = (key: string) => key.slice(0, key.lastIndexOf('/') + 1)
    // Receipts of a new day lie in another folder.
    for (const start of day(next) === day(after) ? [after] : [after, day(next)])
      for await (const { key, calls } of receiptsBehind(store, start)) {
        if (!seen.has(key)) sum += calls
        seen.add(key)
      }
    for (const key of seen) if (key < next) seen.delete(key)
    after = next
    return sum
  }
  await look()
  return { look }
}
