import type { Announcement } from './announce.ts'
import type { Config } from './config.ts'
import type { ObjectHead } from './cos.ts'
import { isFinal, MattingError } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { layoutName } from './layout.ts'
import { errorFields, type Fields } from './log.ts'
import { type Cutout, ensure, MAX_RULES } from './pay/pay.ts'
import { type UploadLayout, uploadLayouts } from './preset.ts'
import { type StoredView, storeView } from './show.ts'
import { encodeKey } from './sign.ts'
import { refuseObject } from './source.ts'

/** An invocation that tells the next system, and its own log. */
export interface CutInvocation extends Invocation {
  announce: (announcement: Announcement) => Promise<void>
  warn: (fields: Fields) => void
  /** Whether to wait for a cutout that somebody else is making; default true. */
  wait?: boolean
}

/** The part of an invocation's time which is kept for announcing, in milliseconds. */
const ANNOUNCE_TIME = 3_000

/**
 * Makes and announces the cutouts of a photo that `refuseHead` does not refuse, with the views that are stored. `asker` says for
 * whom. @throws MattingError
 */
export async function cutOut(
  asker: string,
  key: string,
  head: ObjectHead,
  invocation: CutInvocation,
): Promise<Cutout[]> {
  const { config, announce, wait = true } = invocation
  const source = { key, etag: head.etag }
  try {
    const deadline = invocation.deadline - (config.eventsUrl ? ANNOUNCE_TIME : 0)
    const photo = { ...source, size: head.size, modified: head.modified }
    const layouts = layoutsOf(key, head, config)
    const origin = config.deliveryUrl ?? config.cutoutEndpoint
    const cutouts: Cutout[] = []
    // As many layouts as fit into one request, so that these cutouts are announced even if later ones fail.
    for (let i = 0; i < layouts.length; i += MAX_RULES) {
      const made = await ensure({ ...invocation, deadline }, asker, photo, layouts.slice(i, i + MAX_RULES), { wait })
      const told = made.map(async ({ layout, obtained: _, modified, ...made }) => {
        const place = (key: string) => ({ bucket: config.cutoutBucket, key, url: origin + encodeKey(key) })
        const { views = [] } = layouts.find((one) => layoutName(one) === layout) ?? {}
        const shown: (StoredView & ReturnType<typeof place>)[] = []
        for (const view of views) {
          const stored = await storeView({ ...invocation, deadline }, { ...made, modified }, view).catch(
            without(invocation, source.key),
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
function without({ warn }: CutInvocation, key: string): (error: unknown) => undefined {
  return (thrown) => {
    const error = MattingError.from(thrown)
    if (error.code !== 'no-view') throw error
    warn({ key, outcome: 'no view', ...errorFields(error) })
  }
}

/** The layouts of a photo: those that its own metadata name, otherwise those of its folder. @throws MattingError bad-layout */
export function layoutsOf(
  key: string,
  { matting }: ObjectHead,
  { onUpload, presets }: Config,
): readonly UploadLayout[] {
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

/** Why an object in a source folder is not cut out, by what HEAD told; undefined if it is. */
export function refuseHead(key: string, head: ObjectHead, config: Config): string | undefined {
  const why = refuseObject(key, head)
  if (why) return why
  const names = namesIn(head.matting)
  if (names.includes('off')) return 'off by its metadata'
  if (names.length === 0 && !config.onUpload.some(([folder]) => key.startsWith(folder)))
    return 'no layouts for its folder'
  return undefined
}
