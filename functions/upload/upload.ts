import type { Config } from '../../lib/config.ts'
import { type CutInvocation, cutOut, refuseHead } from '../../lib/cut.ts'
import { MattingError } from '../../lib/errors.ts'
import type { Cutout } from '../../lib/pay/pay.ts'
import { remove } from '../../lib/remove.ts'
import { isOtherType, refuseKey } from '../../lib/source.ts'
import type { Arrival } from './event.ts'

/** The result for one object. */
export type Outcome =
  | { key: string; outcome: 'cut'; cutouts: Cutout[]; ms: number }
  | { key: string; outcome: 'removed'; cutouts: number; ms: number }
  | { key: string; outcome: 'skipped'; why: string; ms: number }
  | { key: string; outcome: 'failed'; error: MattingError; ms: number }

/** With less time left than this, no further object is begun; in milliseconds. */
const LEAST_TIME = 2_000

/** The time that every object gets at least, if so much is left, in milliseconds. */
const SHARE = 12_000

/**
 * Makes the cutouts of the objects that arrived, and yields the result for each as soon as it is known and announced. Never
 * throws: the failure of one object does not affect the others.
 */
export async function* upload(
  arrivals: readonly (Arrival | undefined)[],
  invocation: CutInvocation,
): AsyncGenerator<Outcome> {
  for (const [i, arrival] of arrivals.entries()) {
    // An object that waits for another instance's cutout must not take the time of those after it.
    const left = invocation.deadline - invocation.now()
    const share = Math.max(left / (arrivals.length - i), Math.min(left, SHARE))
    if (arrival) yield* await handle(arrival, { ...invocation, deadline: invocation.now() + share })
    else yield { key: '', outcome: 'failed', error: new MattingError('bad-event'), ms: 0 }
  }
}

async function handle(arrival: Arrival, invocation: CutInvocation): Promise<Outcome[]> {
  const { config, cos, now } = invocation
  const start = now()
  const ms = () => now() - start
  const skipped = async (key: string, why: string): Promise<Outcome> => {
    // Objects of another bucket and deleted objects are not announced.
    if (arrival.bucket === config.bucket && arrival.kind === 'created')
      await invocation.announce({ type: 'source.skipped', source: { key }, why })
    return { key, outcome: 'skipped', why, ms: ms() }
  }
  const failed = (key: string, thrown: unknown): Outcome => ({
    key,
    outcome: 'failed',
    error: MattingError.from(thrown),
    ms: ms(),
  })
  const [first = ''] = arrival.keys
  const gated = arrival.keys.map((key) => ({ key, why: gate(key, arrival, config) }))
  const open = gated.filter(({ why }) => why === undefined)
  const outcomes: Outcome[] = []
  for (const { key } of open) {
    try {
      // The platform delivers the event again, and what is done by then is not paid again.
      if (invocation.deadline - now() < LEAST_TIME) throw new MattingError('timeout')
      let head = await cos.head(key)
      if (arrival.kind === 'removed') {
        if (head) {
          outcomes.push(await skipped(key, 'it is there again'))
          continue
        }
        outcomes.push({ key, outcome: 'removed', cutouts: await remove(key, invocation), ms: ms() })
        // Perhaps the photo was stored again just now, and its old cutouts were found, even announced, before they were
        // removed.
        head = await cos.head(key)
      }
      // It was deleted meanwhile, or this is the wrong one of two readings of the key.
      if (!head) continue
      const why = refuseHead(key, head, config)
      if (why) outcomes.push(await skipped(key, why))
      else outcomes.push({ key, outcome: 'cut', cutouts: await cutOut('trigger', key, head, invocation), ms: ms() })
    } catch (error) {
      outcomes.push(failed(key, error))
    }
  }
  if (outcomes.length > 0) return outcomes
  try {
    // HEAD answers 404 for a missing bucket too. Without this GET, which tells them apart, every event for a misspelt bucket
    // would be lost.
    if (open.length > 0) await cos.get(first)
    return [await skipped(first, open.length > 0 ? 'not there any more' : (gated[0]?.why ?? 'no key'))]
  } catch (error) {
    return [failed(first, error)]
  }
}

/** Why an object is skipped, as far as its event alone can tell; undefined if it is not. */
function gate(key: string, { kind, bucket, size, type = '' }: Arrival, config: Config): string | undefined {
  if (bucket !== config.bucket) return 'another bucket'
  const why = refuseKey(key, config.sourcePrefixes)
  if (why) return why
  if (kind === 'removed') return config.onDelete === 'remove' ? undefined : 'cutouts are kept'
  if (key.endsWith('/') || size === 0) return 'empty'
  // If the event has no type, HEAD may tell one; if that says nothing, the name decides.
  return isOtherType(type) ? 'not an image by its type' : undefined
}
