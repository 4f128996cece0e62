import { besideCutout } from './cutout.ts'
import { MattingError } from './errors.ts'
import { frameOf } from './frame.ts'
import { groundOf } from './ground.ts'
import type { Invocation } from './invocation.ts'
import type { Cutout } from './pay/pay.ts'
import { MAX_PICTURE } from './pixels.ts'
import { type Frame, operations, printView, type View, viewName } from './view.ts'

/** What views of a cutout are made from: the cutout or its ground, and its frame if they trim. */
export interface Basis {
  key: string
  frame?: Frame | undefined
}

/** A cutout, as `ensure` tells of it. */
type Stored = Pick<Cutout, 'key' | 'size' | 'modified'>

/** A name for what a view is made from; views that differ only in size and format share it. */
export function basisOf(view: View | undefined): string {
  return view ? `view ${view.trim ? 'trim' : ''} ${view.background ?? ''}` : ''
}

/**
 * Makes sure that the view of a cutout can be shown. Nothing of it is paid as matting.
 * @throws MattingError no-view: the cutout is too large for the vendor's processing, or cannot be read here; timeout; or why
 * the storage did not answer.
 */
export async function prepare(
  { store, now, deadline }: Invocation,
  cutout: Stored,
  view: View | undefined,
): Promise<Basis> {
  if (!view) return { key: cutout.key }
  if (cutout.size > MAX_PICTURE)
    throw new MattingError('no-view', 'The cutout is larger than 32 MB, so it can only be shown as it is.')
  const time = { now, deadline, since: cutout.modified }
  const frame = view.trim ? await frameOf(store, cutout.key, time) : undefined
  const key = view.background ? await groundOf(store, cutout.key, view.background, time) : cutout.key
  return { key, frame }
}

/** A view that is an object of its own. */
export interface StoredView {
  /** Its words. */
  view: string
  key: string
  /** Bytes. */
  size: number
}

/**
 * Stores a view beside its cutout, if it is not there yet. It is not paid as matting. Undefined if its format follows each
 * request; the configuration refuses to store such a one. @throws as `prepare`, and unavailable: the vendor stored nothing
 */
export async function storeView(invocation: Invocation, cutout: Stored, view: View): Promise<StoredView | undefined> {
  const { store } = invocation
  if (view.format === 'auto') return undefined
  const key = besideCutout(cutout.key, `${viewName(view)}.${view.format}`)
  let head = await store.head(key)
  // An older one is of another cutout, which had the same key.
  if (!head || head.modified < cutout.modified) {
    const basis = await prepare(invocation, cutout, view)
    await store.render(basis.key, key, operations(view, view.format, basis.frame) || 'imageMogr2/format/png')
    head = await store.head(key)
  }
  if (!head) throw new MattingError('unavailable', 'The vendor stored no view.')
  return { view: printView(view), key, size: head.size }
}
