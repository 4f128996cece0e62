import { type Layout, layoutName, parseLayout, plain } from './layout.ts'
import { readEntries } from './spelling.ts'

export const ON_PENDING = ['wait', 'retry', 'original'] as const
export const ON_FAILURE = ['error', 'original'] as const

/** The answer while another instance makes the cutout, and the answer when it cannot be made. */
export interface Fallbacks {
  onPending: (typeof ON_PENDING)[number]
  onFailure: (typeof ON_FAILURE)[number]
}

/** A named layout. What it does not set comes from ON_PENDING and ON_FAILURE. */
export interface Preset extends Partial<Fallbacks> {
  layout: Layout
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
  return { layout: parseLayout(parts.join('&'), '&'), ...(onPending && { onPending }), ...(onFailure && { onFailure }) }
}

/** Folder → its layouts, the longest folder first. */
export type Folders = readonly (readonly [prefix: string, layouts: readonly Layout[]])[]

/**
 * Reads ON_UPLOAD. Undefined if the text is malformed.
 * @throws TypeError for an unknown preset
 */
export function readFolders(text: string, presets: ReadonlyMap<string, Preset>): Folders | undefined {
  const entries = readEntries(text, ',')
  if (!entries) return undefined
  const folders = [...entries].map(([folder, names]) => {
    const layouts = names.map((name) => presets.get(name)?.layout)
    if (!folder.endsWith('/') || layouts.length === 0 || layouts.includes(undefined)) throw new TypeError(folder)
    return [folder, layouts.filter((layout) => layout !== undefined)] as const
  })
  return folders.sort(([a], [b]) => b.length - a.length)
}
