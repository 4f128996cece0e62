import { type Layout, layoutName, parseLayout, plain } from './layout.ts'
import { readEntries } from './spelling.ts'
import { isViewWord, parseViews, printView, type View } from './view.ts'

export const ON_PENDING = ['wait', 'retry', 'original'] as const
export const ON_FAILURE = ['error', 'original'] as const

/** The answer while another instance makes the cutout, and the answer when it cannot be made. */
export interface Fallbacks {
  onPending: (typeof ON_PENDING)[number]
  onFailure: (typeof ON_FAILURE)[number]
}

/** A named layout, and how its cutout is shown. What it does not set comes from ON_PENDING and ON_FAILURE. */
export interface Preset extends Partial<Fallbacks> {
  layout: Layout
  /** One for each width, of which the first is shown unless another width is asked for. Without any the cutout is shown as it is. */
  views?: readonly View[]
  /** Whether the upload function stores the views as objects. */
  stored?: boolean
}

/**
 * Reads PRESETS. Undefined if the text is malformed, or gives `plain` another layout.
 * @throws MattingError, TypeError for unknown words
 */
export function readPresets(text: string): Map<string, Preset> | undefined {
  const entries = readEntries(text, '&')
  if (!entries || ![...entries.keys()].every((name) => /^[a-z][a-z0-9-]*$/.test(name))) return undefined
  const presets = new Map([
    ['plain', { layout: plain }],
    ...[...entries].map(([name, words]) => [name, readPreset(words)] as const),
  ])
  return layoutName(presets.get('plain')?.layout ?? plain) === 'plain' ? presets : undefined
}

/** @throws MattingError, TypeError */
function readPreset(words: readonly string[]): Preset {
  const parts = [...words]
  function take<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const [given, ...more] = parts.filter((part) => part.startsWith(name))
    if (given === undefined) return undefined
    const choice = choices.find((choice) => choice === given.slice(name.length))
    if (!choice || more.length > 0) throw new TypeError(given)
    parts.splice(parts.indexOf(given), 1)
    return choice
  }
  const onPending = take('on-pending=', ON_PENDING)
  const onFailure = take('on-failure=', ON_FAILURE)
  const stored = take('store=', ['0', '1'])
  const shown = parts.filter(isViewWord)
  const layout = parseLayout(parts.filter((part) => !isViewWord(part)).join('&'), '&')
  return {
    layout,
    ...(shown.length > 0 && { views: parseViews(shown) }),
    ...(stored === '1' && { stored: true }),
    ...(onPending && { onPending }),
    ...(onFailure && { onFailure }),
  }
}

/** A layout that is made at upload, and the views of it that are stored. */
export interface UploadLayout extends Layout {
  views?: readonly View[]
}

/** Folder → its layouts, the longest folder first. */
export type Folders = readonly (readonly [prefix: string, layouts: readonly UploadLayout[]])[]

/**
 * Reads ON_UPLOAD. Undefined if the text is malformed.
 * @throws TypeError for an unknown preset
 */
export function readFolders(text: string, presets: ReadonlyMap<string, Preset>): Folders | undefined {
  const entries = readEntries(text, ',')
  if (!entries) return undefined
  const folders = [...entries].map(([folder, names]) => {
    const named = names.map((name) => presets.get(name))
    if (!folder.endsWith('/') || named.length === 0 || named.includes(undefined)) throw new TypeError(folder)
    return [folder, uploadLayouts(named.filter((preset) => preset !== undefined))] as const
  })
  return folders.sort(([a], [b]) => b.length - a.length)
}

/** What is made of a photo for these presets. Presets that differ only in their views share the cutout. */
export function uploadLayouts(presets: readonly Preset[]): UploadLayout[] {
  const layouts = new Map<string, UploadLayout>()
  for (const { layout, views = [], stored } of presets) {
    const name = layoutName(layout)
    const all = [...(layouts.get(name)?.views ?? []), ...(stored ? views : [])]
    const once = [...new Map(all.map((view) => [printView(view), view])).values()]
    layouts.set(name, { ...layout, ...(once.length > 0 && { views: once }) })
  }
  return [...layouts.values()]
}
