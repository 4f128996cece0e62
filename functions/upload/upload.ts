import { type Config, isUnder } from '../../lib/config.ts'
import { isCutout, MAX_KEY } from '../../lib/cutout.ts'
import { MattingError } from '../../lib/errors.ts'
import { type Cutout, ensure, type Parts } from '../../lib/pay.ts'
import type { Arrival } from './event.ts'

/** What became of one object. */
export type Outcome =
  | { key: string; outcome: 'cut'; cutouts: Cutout[]; ms: number }
  | { key: string; outcome: 'skipped'; why: string; ms: number }
  | { key: string; outcome: 'failed'; error: MattingError; ms: number }

/**
 * Makes the cutouts of the objects that arrived, and tells what became of each as soon as it is known. Never throws: one
 * object's failure does not touch the others.
 */
export async function* upload(arrivals: readonly (Arrival | undefined)[], parts: Parts): AsyncGenerator<Outcome> {
  for (const arrival of arrivals) {
    if (arrival) yield* await handle(arrival, parts)
    else yield { key: '', outcome: 'failed', error: new MattingError('bad-event'), ms: 0 }
  }
}

async function handle(arrival: Arrival, parts: Parts): Promise<Outcome[]> {
  const { config, cos, now } = parts
  const start = now()
  const first = arrival.keys[0] ?? ''
  const ms = () => now() - start
  const gated = arrival.keys.map((key) => ({ key, why: gate(key, arrival.bucket, config) }))
  const open = gated.filter(({ why }) => why === undefined)
  if (open.length === 0) return [{ key: first, outcome: 'skipped', why: gated[0]?.why ?? 'no key', ms: ms() }]
  const outcomes: Outcome[] = []
  for (const { key } of open) {
    try {
      const head = await cos.head(key)
      // Deleted meanwhile, or the wrong one of two readings.
      if (!head) continue
      const layouts = config.onUpload.find(([folder]) => key.startsWith(folder))?.[1] ?? []
      const cutouts = await ensure(parts, 'trigger', { key, ...head }, layouts)
      outcomes.push({ key, outcome: 'cut', cutouts, ms: ms() })
    } catch (error) {
      outcomes.push({ key, outcome: 'failed', error: MattingError.from(error), ms: ms() })
    }
  }
  if (outcomes.length > 0) return outcomes
  // HEAD says 404 for a missing bucket as well; were that taken for a deleted photo, a misspelt bucket would lose every event.
  const error = await cos.get(first).then(
    () => undefined,
    (thrown: unknown) => MattingError.from(thrown),
  )
  if (error) return [{ key: first, outcome: 'failed', error, ms: ms() }]
  return [{ key: first, outcome: 'skipped', why: 'not there any more', ms: ms() }]
}

/** Why a key is not to be cut out, as far as that can be told without asking anybody; undefined if it is. */
function gate(key: string, bucket: string, config: Config): string | undefined {
  if (bucket !== config.bucket) return 'another bucket'
  // The percent-encoded reading of a long key: no object has it.
  if (Buffer.byteLength(key) > MAX_KEY) return 'too long a key'
  if (isCutout(key)) return 'a cutout'
  if (!isUnder(key, config.sourcePrefixes)) return 'not in a source folder'
  if (!/\.(jpe?g|png|webp|bmp)$/i.test(key)) return 'not an image by its name'
  if (!config.onUpload.some(([folder]) => key.startsWith(folder))) return 'no layouts for its folder'
  return undefined
}
