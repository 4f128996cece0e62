import { setTimeout as sleep } from 'node:timers/promises'
import { MattingError } from '../errors.ts'
import { type Invocation, timed } from '../invocation.ts'
import type { Layout } from '../layout.ts'
import { buy, note } from './buy.ts'
import { checkPayable, hold, LOOK_TIME } from './hold.ts'
import { listed } from './limit.ts'
import { type Found, find, isThere, type Source, wantedCutouts } from './work.ts'

export { isPast, listClaims } from './claim.ts'
export { FAILURES, failureFolders, splitMark } from './failure.ts'
export { MAX_RULES } from './hold.ts'
export { type Photo, type PresignedUpload, presignUpload, putPhoto } from './put.ts'
export { type Billed, dayWithReceipts, RECEIPTS, readReceipts, TALLIES } from './receipt.ts'
export { type Report, report } from './report.ts'
export type { Source } from './work.ts'

export interface Cutout {
  /** Short name of its layout. */
  layout: string
  key: string
  /** Bytes. */
  size: number
  /** When it was stored, by COS's clock, in milliseconds since the epoch. */
  modified: number
  /** In pixels, if they are known. */
  width?: number
  height?: number
  /** `made`: this call paid for it, or may have; `joined`: another call made it meanwhile. */
  obtained: 'hit' | 'made' | 'joined'
}

/**
 * The one door through which money is spent (only a URL of DELIVERY=direct goes past it: whoever fetches that, pays). Makes sure
 * that the cutouts of a source exist. It looks, claims, looks again, pays. A call that does not get the claim waits for the
 * cutout, unless `wait` is false; if `pay` is false, it only looks. `asker` says for whom the cutouts are, in claim and receipt.
 * The outcome of a paid call without an answer is found out by looking, and nobody pays again before the time of its claim has
 * passed.
 * @throws MattingError too-large, limit-reached, changing-too-fast, not-made: nothing was paid; pending: it may still appear;
 * no-product: it is there, but blank; changed: the photo was replaced; busy, unavailable, timeout; or the reason why CI
 * refused.
 */
export async function ensure(
  invocation: Invocation,
  asker: string,
  source: Source,
  layouts: readonly Layout[],
  { pay = true, wait = true } = {},
): Promise<Cutout[]> {
  const { cos, store, config, now, random, deadline } = invocation
  const wanted = wantedCutouts(invocation, source, layouts)
  /** The cutouts that this call paid for, by which attempt, and whether the vendor told that it cut out this photo. */
  const paid = new Map<string, { attempt: number; sure: boolean }>()
  const first = await timed(invocation, 'look', find(store, wanted))
  const found = new Map<string, Found>(first.found.map((one) => [one.name, one]))
  // If one cutout is blank, the photo's other layouts are blank too.
  const isBlank = () => [...found.values()].some(({ blank }) => blank)
  if (isBlank()) throw new MattingError('no-product')
  let { missing } = first
  if (missing.length > 0 && !pay) throw new MattingError('not-made')
  let attempts =
    missing.length > 0 ? await timed(invocation, 'look', checkPayable(invocation, source, missing)) : new Map()
  const holder = { id: invocation.uuid(), asker, seconds: config.claimTime }
  let isOther = false
  for (let pause = 150; missing.length > 0 && !isBlank(); ) {
    const turn = await timed(
      invocation,
      'claim',
      hold(invocation, holder, source, missing, attempts, source.url === undefined),
    )
    attempts = turn.attempts
    // If there is a later attempt, ours made nothing in its time, and the cutout belongs to the later one.
    const others = [...paid].filter(([key, { attempt }]) => attempt !== attempts.get(key))
    for (const [key] of others) if (turn.held.every((one) => one.key !== key)) paid.delete(key)
    if (turn.held.length > 0) {
      const buying = buy(invocation, asker, source, turn.held).finally(() => listed(invocation, turn.held.length))
      const { bought, original } = await timed(invocation, 'pay', buying)
      for (const { key, attempt } of bought) paid.set(key, { attempt, sure: original === source.etag })
      isOther = original !== undefined && original !== source.etag
      if (isOther) break
    }
    const looked = await timed(invocation, 'look', find(store, missing))
    for (const one of looked.found) found.set(one.name, one)
    missing = looked.missing
    if (turn.held.length > 0 || missing.length === 0) continue
    // No attempt was ever made, and no time is left for one.
    if (missing.every(({ key }) => !attempts.has(key))) throw new MattingError('timeout')
    pause = Math.min(2_000, pause * 1.5) * (0.75 + random() / 2)
    if (!wait || now() + pause > deadline - LOOK_TIME) throw new MattingError('pending')
    await timed(invocation, 'wait', sleep(pause))
  }
  const unsure = [...paid].flatMap(([key, { sure }]) => (sure ? [] : [key]))
  // CI cuts out the photo that is there when it reads. A cutout of another photo must not keep the name of the one that we saw.
  const inBucket = first.missing.length > 0 && source.url === undefined
  if (isOther || (inBucket && !(await isThere(cos, source, unsure.length > 0)))) {
    const dropped = config.onDelete === 'remove' ? [...paid.keys()] : unsure
    await Promise.all(dropped.map((key) => store.delete(key)))
    throw new MattingError('changed')
  }
  if (isBlank()) {
    const error = new MattingError('no-product')
    // So that the other layouts are not paid for. Only the payer notes it: a call that waited cannot know whether the blank
    // cutout is of another photo and about to be deleted.
    if (paid.size > 0) await note(invocation, source, error)
    throw error
  }
  const before = new Set(first.found.map(({ name }) => name))
  return wanted.map(({ key, name }) => {
    const obtained = paid.has(key) ? 'made' : before.has(name) ? 'hit' : 'joined'
    const { size = 0, modified = 0, width, height, key: there = key } = found.get(name) ?? {}
    return { layout: name, key: there, size, modified, ...(width && height && { width, height }), obtained }
  })
}
