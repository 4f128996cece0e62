import type { Api } from './api.ts'
import type { Back } from './back.ts'
import type { Cell } from './cell.ts'
import type { Text } from './english.ts'
import type { Live } from './live.ts'
import { GROUNDS, type Look, lookText } from './look.ts'
import type { Photos } from './photos.ts'
import type { Pictures } from './picture.ts'
import type { Remembered } from './remembered.ts'
import type { Uploads } from './upload.ts'
import type { Meter, Photo, Place } from './wire.ts'

/** What every part of the page is drawn from. A change of language draws all of it anew. */
export interface Scene {
  text: Text
  /** Ends when this drawing is replaced. */
  signal: AbortSignal
  remembered: Remembered
  api: Api
  live: Live
  photos: Photos
  uploads: Uploads
  pictures: Pictures
  back: Back
  place: Cell<Place | undefined>
  meter: Cell<Meter | undefined>
  /** Bytes of the pictures on the cards, and of the stored PNGs that they are made of. */
  shown: Cell<{ bytes: number; raw: number }>
  /** Tells those who do not see it. */
  announce: (words: string) => void
  /** Opens the sheet of a photo. */
  open: (key: string) => void
}

/** The last part of a key, for people. */
export function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/', key.length - 2) + 1)
}

/** The words of an image URL: with ACCESS=presets nothing may be added to a preset. */
export function wordsOf({ place }: Scene, layout: string, look: Look, grounded: boolean): string {
  return place.value?.access === 'presets' ? layout : lookText(layout, look, grounded)
}

/** What lies under a cutout: with ACCESS=presets nothing, for nobody can choose it. */
export function groundOf({ place }: Scene, { ground }: Look): string {
  return place.value?.access === 'presets' ? GROUNDS.checker : ground
}

/** Why a photo is not cut out, in words. */
export function reasonOf({ marks }: Text, { code, message }: NonNullable<Photo['mark']>): string {
  return Object.entries(marks).find(([name]) => name === code)?.[1] ?? `${code}: ${message}`
}
