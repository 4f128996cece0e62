import type { Announcement } from '../../lib/announce.ts'
import type { Config } from '../../lib/config.ts'
import type { ObjectHead } from '../../lib/cos.ts'
import { isFinal, MattingError } from '../../lib/errors.ts'
import type { Invocation } from '../../lib/invocation.ts'
import { layoutName } from '../../lib/layout.ts'
import { errorFields, log } from '../../lib/log.ts'
import { type Cutout, ensure, MAX_RULES } from '../../lib/pay/pay.ts'
import { type UploadLayout, uploadLayouts } from '../../lib/preset.ts'
import { remove } from '../../lib/remove.ts'
import { type StoredView, storeView } from '../../lib/show.ts'
import { encodeKey } from '../../lib/sign.ts'
import { isOtherType, refuseKey, refuseObject } from '../../lib/source.ts'
import type { Arrival } from './event.ts'

/** The result for one object. */
export type Outcome =
  | { key: string; outcome: 'cut'; cutouts: Cutout[]; ms: number }
  | { key: string; outcome: 'removed'; cutouts: number; ms: number }
  | { key: string; outcome: 'skipped'; why: string; ms: number }
  | { key: string; outcome: 'failed'; error: MattingError; ms: number }

export interface UploadInvocation extends Invocation {
  announce: (announcement: Announcement) => Promise<void>
}

/** With less time left than this, no further object is begun; in milliseconds. */
const LEAST_TIME = 2_000

/** The time that every object gets at least, if so much is left, in milliseconds. */
const SHARE = 12_000

/** The part of that time which is kept for announcing, in milliseconds. */
const ANNOUNCE_TIME = 3_000

/**
 * Makes the cutouts of the objects that arrived, and yields the result for each as soon as it is known and announced. Never
 * throws: the failure of one object does not affect the others.
 */
export async function* upload(
  arrivals: readonly (Arrival | undefined)[],
  invocation: UploadInvocation,
): AsyncGenerator<Outcome> {
  for (const [i, arrival] of arrivals.entries()) {
    // An object that waits for another instance's cutout must not take the time of those after it.
    const left = invocation.deadline - invocation.now()
    const share = Math.max(left / (arrivals.length - i), Math.min(left, SHARE))
    if (arrival) yield* await handle(arrival, { ...invocation, deadline: invocation.now() + share })
    else yield { key: '', outcome: 'failed', error: new MattingError('bad-event'), ms: 0 }
  }
}

async function handle(arrival: Arrival, invocation: UploadInvocation): Promise<Outcome[]> {
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
      const why = gateHead(key, head, config)
      if (why) outcomes.push(await skipped(key, why))
      else outcomes.push({ key, outcome: 'cut', cutouts: await cut(key, head, invocation), ms: ms() })
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

/** Makes and announces the cutouts of a photo. @throws MattingError */
async function cut(key: string, head: ObjectHead, invocation: UploadInvocation): Promise<Cutout[]> {
  const { config, announce } = invocation
  const source = { key, etag: head.etag }
  try {
    const deadline = invocation.deadline - (config.eventsUrl ? ANNOUNCE_TIME : 0)
    const photo = { ...source, size: head.size, modified: head.modified }
    const layouts = layoutsOf(key, head, config)
    const origin = config.deliveryUrl ?? config.cutoutEndpoint
    const cutouts: Cutout[] = []
    // As many layouts as fit into one request, so that these cutouts are announced even if later ones fail.
    for (let i = 0; i < layouts.length; i += MAX_RULES) {
      const made = await ensure({ ...invocation, deadline }, 'trigger', photo, layouts.slice(i, i + MAX_RULES))
      const told = made.map(async ({ layout, obtained: _, modified, ...made }) => {
        const place = (key: string) => ({ bucket: config.cutoutBucket, key, url: origin + encodeKey(key) })
        const { views = [] } = layouts.find((one) => layoutName(one) === layout) ?? {}
        const shown: (StoredView & ReturnType<typeof place>)[] = []
        for (const view of views) {
          const stored = await storeView({ ...invocation, deadline }, { ...made, modified }, view).catch(
            without(source.key),
          )
          if (stored) shown.push({ ...place(stored.key), ...stored })
        }
        const cutout = { ...made, ...place(made.key) }
        return announce({ type: 'cutout.created', source, layout, cutout, ...(shown.length > 0 && { views: shown }) })
      })
      const failed = (await Promise.allSettled(told)).find(({ status }) => status === 'rejected')
      if (failed) await Promise.all(told)
      cutouts.push(...made)
    }
    return cutouts
  } catch (thrown) {
    const error = MattingError.from(thrown)
    const { code, message, retryable } = error
    const type = error.about === 'order' ? 'cutout.deferred' : 'cutout.failed'
    // An error that a retry may mend is not announced yet.
    if (type === 'cutout.deferred' || isFinal(error) || code === 'denied') {
      await announce({ type, source, code, message, retryable }).catch(() => {
        throw new MattingError('unannounced', undefined, { cause: error })
      })
    }
    throw error
  }
}

/** A cutout that cannot be shown otherwise than it is, is still a cutout. @throws any other error */
function without(key: string): (error: unknown) => undefined {
  return (thrown) => {
    const error = MattingError.from(thrown)
    if (error.code !== 'no-view') throw error
    log({ function: 'upload', key, outcome: 'no view', ...errorFields(error) })
  }
}

/** The layouts of a photo: those that its own metadata name, otherwise those of its folder. @throws MattingError bad-layout */
function layoutsOf(key: string, { matting }: ObjectHead, { onUpload, presets }: Config): readonly UploadLayout[] {
  const names = namesIn(matting)
  if (names.length === 0) return onUpload.find(([folder]) => key.startsWith(folder))?.[1] ?? []
  const named = names.map((name) => {
    const preset = presets.get(name)
    if (!preset) throw new MattingError('bad-layout', 'x-cos-meta-matting: expected off, or presets that exist.')
    return preset
  })
  return uploadLayouts(named)
}

/** The presets, or `off`, in an object's own metadata; each once, however often it is named. */
function namesIn(matting = ''): string[] {
  const names = matting.split(',').map((name) => name.trim().toLowerCase())
  return [...new Set(names)].filter(Boolean)
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

/** The same, by what HEAD told. */
function gateHead(key: string, head: ObjectHead, config: Config): string | undefined {
  const why = refuseObject(key, head)
  if (why) return why
  const names = namesIn(head.matting)
  if (names.includes('off')) return 'off by its metadata'
  if (names.length === 0 && !config.onUpload.some(([folder]) => key.startsWith(folder)))
    return 'no layouts for its folder'
  return undefined
}
