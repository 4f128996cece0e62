import { hash } from 'node:crypto'
import type { Config } from '../config.ts'
import { picOperations } from '../cos.ts'
import { MattingError } from '../errors.ts'
import type { Invocation } from '../invocation.ts'
import { type Layout, layoutName } from '../layout.ts'
import type { Credentials } from '../sign.ts'
import { refuseKey, refuseObject } from '../source.ts'
import { buy, note, type Photo, type Purchase, receiptOf, rulesOf } from './buy.ts'
import { claimKey, ROUNDING, redate } from './claim.ts'
import { checkPayable, type Held, hold, releaseAll, vendorTime } from './hold.ts'
import { listed } from './limit.ts'
import { writeGrant } from './receipt.ts'
import { find, type Source, wantedCutouts } from './work.ts'

export type { Photo } from './buy.ts'

/**
 * Stores a photo, and in the same call (method two) makes those of its cutouts that nobody has made or is making. The ETag of a
 * photo stored in one PUT is its MD5, so the cutouts' keys are known beforehand, and the trigger that follows finds them. Never
 * fails because of a cutout: one that is not made is left to the trigger.
 * @throws MattingError if the photo could not be stored, or it is not known whether it was
 */
export async function putPhoto(
  invocation: Invocation,
  key: string,
  photo: Photo,
  layouts: readonly Layout[],
): Promise<{ etag: string; paid: number }> {
  const { cos, store, config, now, deadline } = invocation
  const etag = hash('md5', photo.body)
  const source: Source = { key, etag, size: photo.body.length }
  // If it is not known what is there now, a lost answer cannot be resolved later, so the photo is stored without cutouts.
  const before = await cos.head(key).catch(() => null)
  const stored = before?.etag === etag
  // If the same photo is there already, an instance that sees it cannot tell that it is being stored again.
  const seconds = stored ? Math.ceil((deadline - now()) / 1000) + vendorTime(invocation) : config.claimTime
  const wish = { asker: 'upload', seconds: Math.max(seconds, config.claimTime), stored, overwrites: true }
  const held = before === null ? [] : await prepare(invocation, source, photo.type, layouts, wish).catch(() => [])
  const nothing: Purchase = { bought: [], answered: false }
  const {
    bought,
    answered,
    original = etag,
  } = held.length > 0 ? await buy(invocation, 'upload', source, held, photo).catch(() => nothing) : nothing
  listed(invocation, held.length)
  if (!answered) {
    // No more bytes are on their way, so if the vendor makes these cutouts, it has begun.
    await Promise.allSettled(bought.map((one) => redate(store, claimKey(one.key, one.attempt), vendorTime(invocation))))
    // It may have been stored all the same, and then replaced by somebody else's newer one.
    const current = held.length > 0 ? await cos.head(key) : before
    const untouched = current?.etag === before?.etag && current?.modified === before?.modified
    if (untouched && !stored) await cos.put(key, photo.body, { type: photo.type })
  }
  // The vendor cut out another photo, which was stored just after this one.
  if (original !== etag) await Promise.allSettled(bought.map((one) => store.delete(one.key)))
  const { found } = await find(store, bought).catch(() => ({ found: [] }))
  if (found.some(({ blank }) => blank)) await note(invocation, source, new MattingError('no-product'))
  return { etag, paid: found.length }
}

/** What a browser needs for a PUT. */
export interface PresignedUpload {
  url: string
  /** They must be sent unchanged. */
  headers: Record<string, string>
}

/**
 * A signed PUT for somebody else, such as a browser, that also makes the cutouts. It is good only for a new photo
 * (forbid-overwrite is signed), for this photo (MD5 and size are signed), for these layouts (the metadata, which the trigger
 * obeys, is signed), and for `seconds` (1 to 900), but not beyond the day if DAILY_LIMIT is set. The rights to pay are claimed
 * for that long, so the trigger that follows waits for the cutouts. Undefined if there is nothing to make: the cutouts are
 * there, are being made, or must not be paid for. No PUT is signed without Pic-Operations, because anybody could add them.
 *
 * COS verifies only what a signature lists, so the key that signs must have no more rights than `uploadPolicy` gives.
 * @throws MattingError bad-request, unavailable, denied
 */
export async function presignUpload(
  invocation: Invocation,
  photo: { key: string; md5: string; type: string; size: number },
  layouts: readonly Layout[],
  signer: Credentials,
  seconds = 60,
): Promise<PresignedUpload | undefined> {
  const { config, store, cos } = invocation
  const { key, type, size } = photo
  if (!/^[\da-f]{32}$/i.test(photo.md5) || !Number.isInteger(seconds) || seconds < 1 || seconds > 900) {
    throw new MattingError('bad-request', 'Expected an MD5 in hex, and 1 to 900 whole seconds.')
  }
  const md5 = photo.md5.toLowerCase()
  const source: Source = { key, etag: md5, size }
  // The time in which the PUT may begin, and then the longest time that the vendor needs.
  const wish = { asker: 'presigned', seconds: seconds + vendorTime(invocation), stored: false, overwrites: false }
  const held = await prepare(invocation, source, type, layouts, wish).catch((error: unknown) => {
    const { retryable, about } = MattingError.from(error)
    if (retryable && about !== 'order') throw error
    return []
  })
  if (held.length === 0) return undefined
  // Counted from when the claims were written: even if this instance was frozen since, the PUT must not outlive them.
  const written = Math.min(...held.map((one) => one.written))
  const receipt = receiptOf(invocation, 'presigned', source, held)
  // A URL used after midnight would be counted on the day before.
  const lastSecond = Date.parse(receipt.at.slice(0, 10)) / 1000 + 86_399
  const limited = config.dailyLimit < Number.POSITIVE_INFINITY
  const end = Math.min(Math.floor(written / 1000) + seconds, limited ? lastSecond : Number.POSITIVE_INFINITY)
  const lapses = written + wish.seconds * 1000 + ROUNDING
  const grant = await writeGrant(store, receipt, lapses).catch(async (error: unknown) => {
    listed(invocation, held.length)
    await releaseAll(store, held, 'unavailable')
    throw error
  })
  listed(invocation, held.length)
  if (store.clock() >= (end + 1) * 1000) {
    await releaseAll(store, held, 'unavailable')
    await store.delete(grant).catch(() => {})
    return undefined
  }
  // Includes the headers that otherwise anybody with the URL could add.
  const headers = {
    'content-md5': Buffer.from(md5, 'hex').toString('base64'),
    'content-type': type,
    'x-cos-acl': 'default',
    'x-cos-forbid-overwrite': 'true',
    'x-cos-meta-matting': namesOf(config, layouts),
    'x-cos-storage-class': 'STANDARD',
    ...picOperations(rulesOf(config, held)),
  }
  // The browser sets content-length itself.
  const signed = { method: 'PUT' as const, headers: { ...headers, 'content-length': String(size) }, signer }
  return { url: cos.presign(key, end - seconds - 300, end, signed), headers }
}

/**
 * The presets that the trigger must make of the photo: those granted here, not those of its folder or of metadata that somebody
 * adds. A layout without a preset is made by the PUT or not at all.
 */
function namesOf({ presets }: Config, layouts: readonly Layout[]): string {
  const granted = new Set(layouts.map(layoutName))
  const named = new Map([...presets].map(([name, { layout }]) => [layoutName(layout), name]))
  return [...granted].flatMap((name) => named.get(name) ?? []).join(',') || 'off'
}

/** Looks for the cutouts of a photo that is still to come, and claims what may be paid for. @throws MattingError */
async function prepare(
  invocation: Invocation,
  source: Source,
  type: string,
  layouts: readonly Layout[],
  { asker, seconds, stored, overwrites }: { asker: string; seconds: number; stored: boolean; overwrites: boolean },
): Promise<Held[]> {
  const { key, size } = source
  // Nobody would ever see these cutouts.
  if (refuseKey(key, invocation.config.sourcePrefixes) ?? refuseObject(key, { size, type })) return []
  // Its PUT would be refused, and until it lapses nobody else could have the cutouts made of the photo that is there.
  if (!overwrites && (await invocation.cos.head(key))) return []
  const { missing } = await find(invocation.store, wantedCutouts(invocation, source, layouts))
  if (missing.length === 0) return []
  const attempts = await checkPayable(invocation, source, missing)
  const holder = { id: invocation.uuid(), asker, seconds, photo: 'awaited' as const }
  return (await hold(invocation, holder, source, missing, attempts, stored)).held
}
