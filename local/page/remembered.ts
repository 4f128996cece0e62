import { type Cell, cell } from './cell.ts'
import { chinese } from './chinese.ts'
import { english } from './english.ts'
import { type Look, readLook } from './look.ts'

export const TEXTS = { en: english, 'zh-Hans': chinese } as const
export type Language = keyof typeof TEXTS
export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]
export const WAYS = ['plain', 'two'] as const
export type Way = (typeof WAYS)[number]
export const MODES = ['beside', 'compare'] as const
export type Mode = (typeof MODES)[number]

/** What the page remembers of a person, in this browser. */
export interface Remembered {
  language: Cell<Language>
  theme: Cell<Theme>
  /** In CNY, of one paid call. */
  price: Cell<number>
  way: Cell<Way>
  mode: Cell<Mode>
  look: Cell<Look>
}

/** By the price list of September 2026 as others quote it; whoever pays sets their own. */
const PRICE = 0.01

export function recall(storage: Storage, languages: readonly string[]): Remembered {
  /** @param read what was remembered, or what stands for it when it is none: a person or another version may have written it */
  function part<T>(name: string, read: (json: unknown) => T): Cell<T> {
    let json: unknown
    try {
      json = JSON.parse(storage.getItem(`page.${name}`) ?? 'null')
    } catch {
      // Not JSON, or a browser that keeps nothing.
    }
    return cell(read(json), (value) => {
      try {
        storage.setItem(`page.${name}`, JSON.stringify(value))
      } catch {
        // It is full or forbidden; then the next visit begins anew.
      }
    })
  }
  const own = languages.find((language) => /^(en|zh)\b/i.test(language))
  return {
    language: part('language', (json) => one(['en', 'zh-Hans'], json, own?.startsWith('zh') ? 'zh-Hans' : 'en')),
    theme: part('theme', (json) => one(THEMES, json, 'system')),
    price: part('price', (json) => (typeof json === 'number' && json >= 0 ? json : PRICE)),
    way: part('way', (json) => one(WAYS, json, 'plain')),
    mode: part('mode', (json) => one(MODES, json, 'beside')),
    look: part('look', readLook),
  }
}

/** Which of these it is, or else the fallback. */
function one<T extends string>(known: readonly T[], json: unknown, fallback: T): T {
  return known.find((name) => name === json) ?? fallback
}
