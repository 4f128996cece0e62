import { setTimeout as sleep } from 'node:timers/promises'
import { MattingError } from '../errors.ts'
import type { Invocation } from '../invocation.ts'
import { rule } from '../layout.ts'
import { type PaidTime, type PicRule, paid } from '../paid.ts'
import { writeFailure } from './failure.ts'
import { type Held, PAY_TIME, releaseAll, timeAfter } from './hold.ts'
import { type Receipt, receiptKey, writeReceipt } from './receipt.ts'
import { find, isThere, type Source, type Wanted } from './work.ts'

/** A photo that is still to be stored. */
export interface Photo {
  body: Buffer
  /** Content-Type. */
  type: string
}

/** The result of a paid call. */
export interface Purchase {
  /** The cutouts that were paid for, or may have been. */
  bought: readonly Held[]
  /** Whether the answer was success. If not, the outcome is not known yet. */
  answered: boolean
  /** ETag of the photo that the vendor says it has cut out, if it has the same form as the ETag that we know. */
  original?: string
}

/**
 * Pays for cutouts whose claims we hold. If `photo` is given, the same call stores it (method two).
 * @throws MattingError if nothing was bought, after the claims were released.
 */
export async function buy(
  invocation: Invocation,
  asker: string,
  source: Source,
  held: readonly Held[],
  photo?: Photo,
): Promise<Purchase> {
  const { config, cos, store, now, deadline, random } = invocation
  // The previous holder of a claim may have bought the cutout after we looked for it first.
  const { missing: buying } = await find(store, held).catch(async (error: unknown) => {
    await releaseAll(store, held, 'unavailable')
    throw error
  })
  if (buying.length === 0) return { bought: [], answered: false }
  // The call has half of the claim's time to arrive, and half to be done. If it arrives later, its signature has ended and it
  // is refused. So even an instance that was frozen together with its clock cannot pay after another one took over.
  const until = Math.min(...buying.map(({ written }) => written)) + config.claimTime * 500
  const time = { until, deadline: deadline - timeAfter(source) }
  const receipt = receiptOf(invocation, asker, source, buying)
  const began = now()
  const pay = source.url === undefined ? payByRules : payByUrl
  const done = new Set<string>()
  let answer: { tooLarge?: boolean; original?: string } = {}
  try {
    await writeReceipt(store, receipt)
    for (let pause = 200; ; pause *= 2) {
      try {
        answer = await pay(invocation, source, buying, time, { photo, done })
        break
      } catch (error) {
        // Too many requests at the same time: this one was refused before anything was done, so it may be sent again.
        const left = Math.min(until - store.clock(), deadline - PAY_TIME - now())
        const again = error instanceof MattingError && error.code === 'busy' && 2 * pause < left
        if (!again) throw error
        await sleep(pause * (0.5 + random()))
      }
    }
  } catch (thrown) {
    let error = MattingError.from(thrown)
    // A call with an unknown outcome has not failed, nor has one that was done in part. Claim and receipt stay.
    const left = error.code === 'unknown-outcome' ? [] : await leftOf(invocation, buying)
    if (left.length < buying.length) {
      invocation.spent.calls += buying.length
      return { bought: buying, answered: false }
    }
    // CI judged the photo that is there now, which may be another than the one that we saw.
    const inBucket = source.url === undefined && photo === undefined
    if (!error.retryable && inBucket && !(await isThere(cos, source, true).catch(() => false))) {
      error = new MattingError('changed', undefined, { cause: error })
    }
    await giveUp(invocation, source, buying, error, photo !== undefined)
    await store.delete(receiptKey(receipt)).catch(() => {})
    throw error
  }
  invocation.spent.calls += buying.length
  await writeReceipt(store, { ...receipt, outcome: 'bought', ms: now() - began }).catch(() => {})
  const { tooLarge, original = '' } = answer
  // A different form does not mean another photo: the sample of persistent processing has a SHA-1 (product/460/18147), HEAD an
  // MD5.
  const isTold = original.length === source.etag.length
  if (!tooLarge) return { bought: buying, answered: true, ...(isTold && { original }) }
  const error = new MattingError('too-large')
  // The cutout is too large, not the picture: with less padding it may be small enough.
  for (const { name } of buying) await note(invocation, source, error, name)
  await releaseAll(store, buying, error.code)
  throw error
}

async function leftOf({ store }: Invocation, buying: readonly Held[]): Promise<Held[]> {
  return find(store, buying).then(
    ({ missing }) => missing,
    () => [],
  )
}

/** Methods two and three: one paid call for all cutouts. */
async function payByRules(
  { config, cos }: Invocation,
  { key }: Source,
  buying: readonly Held[],
  time: PaidTime,
  { photo }: { photo: Photo | undefined },
): Promise<{ original?: string }> {
  const rules = rulesOf(config, buying)
  const original = await (photo ? cos[paid].upload(key, photo, rules, time) : cos[paid].process(key, rules, time))
  return original === undefined ? {} : { original }
}

/** Method one: buys the cutouts of a picture elsewhere, one after the other, and stores them. */
async function payByUrl(
  { cos, store }: Invocation,
  { url = '' }: Source,
  buying: readonly Held[],
  time: PaidTime,
  { done }: { done: Set<string> },
): Promise<{ tooLarge?: boolean }> {
  // When it is sent again after `busy`, it leaves out what is done.
  for (const { key, layout } of buying.filter((one) => !done.has(one.key))) {
    const png = await cos[paid].detect(url, layout, time)
    if (!png) return { tooLarge: true }
    await store.put(key, png, { type: 'image/png' }).catch((cause: unknown) => {
      // It was bought, so nobody may buy it again at once.
      throw new MattingError('unknown-outcome', undefined, { cause })
    })
    done.add(key)
  }
  return {}
}

/** The rules for the vendor: what to make, and where to store it. */
export function rulesOf({ bucket, cutoutBucket }: Invocation['config'], wanted: readonly Wanted[]): PicRule[] {
  const elsewhere = cutoutBucket !== bucket && { bucket: cutoutBucket }
  return wanted.map(({ key, layout }) => ({ ...elsewhere, fileid: `/${key}`, rule: rule(layout) }))
}

/** Tells those who wait that nothing was bought, and notes for later requests what is true of the photo until it changes. */
async function giveUp(
  invocation: Invocation,
  source: Source,
  held: readonly Held[],
  error: MattingError,
  byUpload: boolean,
): Promise<void> {
  // Not for a picture elsewhere: its host may have given CI something else than it gave us, for example a page that says
  // "busy".
  if (error.about === 'photo' && source.url === undefined) await note(invocation, source, error)
  // Of several, nobody knows which one was refused. A call for a single one will tell.
  const [only, ...more] = held
  if (error.about === 'layout' && only && more.length === 0) await note(invocation, source, error, only.name)
  // The uploader may lack a permission that the functions have.
  await releaseAll(invocation.store, held, byUpload && error.code === 'denied' ? 'unavailable' : error.code)
}

/** Notes what is true of the photo, or of one layout of it, until it changes. If this fails, the vendor is asked once more. */
export async function note(
  { config, store }: Invocation,
  source: Source,
  error: MattingError,
  layout?: string,
): Promise<void> {
  await writeFailure(store, config.cutoutPrefix, source, error, layout).catch(() => {})
}

export function receiptOf(
  { uuid, store }: Invocation,
  asker: string,
  { key, etag }: Source,
  buying: readonly Wanted[],
): Receipt {
  const at = new Date(store.clock()).toISOString()
  return { id: uuid(), at, asker, source: key, etag, cutouts: buying.map(({ key }) => key), outcome: 'sent', ms: 0 }
}
