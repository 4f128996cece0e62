import { setTimeout as sleep } from 'node:timers/promises'
import { MattingError } from '../errors.ts'
import type { Invocation } from '../invocation.ts'
import { rule } from '../layout.ts'
import { type PaidTime, type PicRule, paid } from '../paid.ts'
import { writeFailure } from './failure.ts'
import { type Held, LEAST_TIME, releaseAll, timeAfter } from './hold.ts'
import { type Receipt, receiptKey, writeReceipt } from './receipt.ts'
import { find, isThere, type Source, type Wanted } from './work.ts'

/** A photo on its way into the bucket. */
export interface Photo {
  body: Buffer
  /** Content-Type. */
  type: string
}

/** What a paid call came to. */
export interface Purchase {
  /** What was, or may have been, paid for. */
  bought: readonly Held[]
  /** Whether it was answered with success. Else nobody knows yet. */
  answered: boolean
  /** ETag of the photo that the vendor says it has cut out, if it says so in the form of the one that we know. */
  original?: string
}

/**
 * Pays for cutouts that are held; with `photo`, it is stored by the same call (method two).
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
  // Whoever held the claim before may have bought it after our first look.
  const { missing: buying } = await find(store, held).catch(async (error: unknown) => {
    await releaseAll(store, held, 'unavailable')
    throw error
  })
  if (buying.length === 0) return { bought: [], answered: false }
  // Half the claim's time to arrive, half to be done: a call that arrives later is refused for its signature, so even an
  // instance that was frozen in between, its clock included, cannot pay after somebody else took over.
  const until = Math.min(...buying.map(({ written }) => written)) + config.claimTime * 500
  const time = { until, deadline: deadline - timeAfter(source) }
  const receipt = receiptOf(invocation, asker, source, buying)
  const began = now()
  const send = source.url === undefined ? sendRules : sendUrl
  const done = new Set<string>()
  let answer: { tooLarge?: boolean; original?: string } = {}
  try {
    await writeReceipt(store, receipt)
    for (let pause = 200; ; pause *= 2) {
      try {
        answer = await send(invocation, source, buying, time, { photo, done })
        break
      } catch (error) {
        // Too many requests at a time: refused before anything was done, so this one may be sent again.
        const left = Math.min(until - store.clock(), deadline - LEAST_TIME - now())
        const again = error instanceof MattingError && error.code === 'busy' && 2 * pause < left
        if (!again) throw error
        await sleep(pause * (0.5 + random()))
      }
    }
  } catch (thrown) {
    let error = MattingError.from(thrown)
    // Not known is not failed, nor is what was done in part: the claim stays, and so does the receipt.
    const left = error.code === 'unknown-outcome' ? [] : await leftOf(invocation, buying)
    if (left.length < buying.length) {
      invocation.spent.calls += buying.length
      return { bought: buying, answered: false }
    }
    // CI judged what lies there now, which need not be the photo that we saw.
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
  // Another form is no sign of another photo: the sample of persistent processing has a SHA-1 (product/460/18147), HEAD an MD5.
  const isTold = original.length === source.etag.length
  if (!tooLarge) return { bought: buying, answered: true, ...(isTold && { original }) }
  const error = new MattingError('too-large')
  // The cutout, and not the picture: with less padding it may do.
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

/** Methods two and three: the one paid call for all of them. */
async function sendRules(
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
async function sendUrl(
  { cos, store }: Invocation,
  { url = '' }: Source,
  buying: readonly Held[],
  time: PaidTime,
  { done }: { done: Set<string> },
): Promise<{ tooLarge?: boolean }> {
  // Sent again after "later", it goes on where it was.
  for (const { key, layout } of buying.filter((one) => !done.has(one.key))) {
    const png = await cos[paid].detect(url, layout, time)
    if (!png) return { tooLarge: true }
    await store.put(key, png, { type: 'image/png' }).catch((cause: unknown) => {
      // It was bought: nobody is to buy it again at once.
      throw new MattingError('unknown-outcome', undefined, { cause })
    })
    done.add(key)
  }
  return {}
}

/** What the vendor is asked for, and where it puts it. */
export function rulesOf({ bucket, cutoutBucket }: Invocation['config'], wanted: readonly Wanted[]): PicRule[] {
  const elsewhere = cutoutBucket !== bucket && { bucket: cutoutBucket }
  return wanted.map(({ key, layout }) => ({ ...elsewhere, fileid: `/${key}`, rule: rule(layout) }))
}

/** Tells those who wait that nothing comes, and those who come later what is true of the photo until it changes. */
async function giveUp(
  invocation: Invocation,
  source: Source,
  held: readonly Held[],
  error: MattingError,
  byUpload: boolean,
): Promise<void> {
  // Not of a picture elsewhere: what its host gave to CI need not be what it gave to us, and may have been a page that says "busy".
  if (error.about === 'photo' && source.url === undefined) await note(invocation, source, error)
  // One of them was refused, and nobody knows which: alone, each will tell.
  const [only, ...more] = held
  if (error.about === 'layout' && only && more.length === 0) await note(invocation, source, error, only.name)
  // Whoever uploads may lack a permission that the functions have.
  await releaseAll(invocation.store, held, byUpload && error.code === 'denied' ? 'unavailable' : error.code)
}

/** Notes what is true of the photo, or of one layout of it, until it changes; should that fail, the vendor is asked once more. */
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
