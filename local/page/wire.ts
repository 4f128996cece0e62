/** What the page of the local cloud and its control port say to each other, in JSON. Types alone: both sides read them. */

/** `GET /api/place`: where everything is, and what may be asked for. */
export interface Place {
  cosUrl: string
  imageUrl: string
  bucket: string
  region: string
  /** SOURCE_PREFIXES: new photos go into the first. */
  folders: readonly string[]
  presets: readonly PlacePreset[]
  access: 'signed' | 'presets' | 'open'
  /** Whether announcements are sent. */
  events: boolean
  version: string
}

export interface PlacePreset {
  name: string
  /** The layout's short name, such as `plain` or `c1-p20x10`. */
  layout: string
  /** What it says, as in PRESETS. */
  words: string
}

/** `POST /api/uploads`: the vendor's PUT alone, after which the trigger cuts out; or method two, which cuts out at once. */
export interface UploadRequest {
  name: string
  type: string
  size: number
  way: 'plain' | 'two'
  /** Of way `two`: the presets to be made; default those of the folder. */
  preset?: string
  /** Of way `two`: the MD5 of the bytes in hex, which that signature covers. */
  md5?: string
  /** Whether another photo of this name may be overwritten. */
  replace?: boolean
}

export interface Upload {
  key: string
  url: string
  /** To be sent as they are. */
  headers: Record<string, string>
  /** What the URL is for. It is `plain`, though `two` was asked for, where there is nothing to pay for. */
  way: 'plain' | 'two'
}

export interface PhotoCutout {
  /** The layout's short name. */
  layout: string
  key: string
  size: number
  /** ISO 8601 */
  modified: string
}

export interface Photo {
  key: string
  /** Without quotes. */
  etag: string
  size: number
  /** ISO 8601 */
  modified: string
  type: string
  /** A URL of the photo at the size of a card, for an hour or so. */
  small: string
  /** Of this version of the photo. */
  cutouts: readonly PhotoCutout[]
  /** Why it is not cut out again: the failure that was noted for this version. */
  mark?: { code: string; message: string }
}

/** `GET /api/photos?after=KEY&limit=N` */
export interface Photos {
  photos: readonly Photo[]
  /** To be sent as `after`; missing on the last page. */
  after?: string
}

/** `GET /api/image?key=&text=`; `text` is a preset or words, such as `plain,width=400,format=webp`. */
export interface Image {
  url: string
  /** The whole `<img srcset>`. */
  img: string
  /** Those of `img`; empty if the configuration allows no other width, and `img` has no srcset. */
  widths: readonly number[]
  sizes: string
}

export type Step = 'uploaded' | 'event' | 'look' | 'claim' | 'paid' | 'stored' | 'announced' | 'shown'

export interface StoryStep {
  step: Step
  /** ISO 8601 */
  at?: string
  ms?: number
  state: 'done' | 'waiting' | 'failed' | 'missing'
  text: string
}

/** `GET /api/story?key=` */
export interface Story {
  sentence: string
  steps: readonly StoryStep[]
}

/** `GET /api/meter` */
export interface Meter {
  /** Cutouts that were paid for. */
  paid: number
  /** Cutouts that were asked for and found, or made by another payer meanwhile. */
  saved: number
  /** Calls of basic image processing, which is charged apart. */
  processing: number
}

/** One switch: `PUT /api/faults` with the `faults` of all that are on. */
export interface FaultPreset {
  name: 'lost-answer' | 'slow-down' | 'slow-matting' | 'duplicate-events' | 'killed-instance'
  faults: readonly Record<string, string | number>[]
}

/** A request on the wire to COS, when it is answered. */
export interface LiveRequest {
  at: string
  method: string
  operation: string
  /** Decoded; '' for a request about the bucket. */
  key: string
  /** 0 if no answer was sent. */
  status: number
  ms: number
  /** By the key that signed: a presigned URL of the page, a function's role, anybody else. */
  who: 'page' | 'function' | 'other'
  /** How many cutouts were billed. */
  paid: number
  /** The vendor's code of a refusal; '' otherwise. */
  code: string
}

/** An invocation of a function: when it begins (`running`), and when it has ended. */
export interface LiveInvocation {
  id: string
  function: string
  instance: number
  cold: boolean
  retry: number
  ms: number
  outcome: 'running' | 'ok' | 'error' | 'timeout' | 'crash'
  /** Of the photo; '' if it is not known. */
  key: string
  paid: number
  /** What was thrown, or why nothing was made; '' otherwise. */
  why: string
}

/** An announcement that a receiver has taken. */
export interface LiveAnnounced {
  type: string
  key: string
  id: string
}

/** `GET /api/live`: `event` is the name, `data` the JSON. `missed`: this reader was too slow, and is to load everything again. */
export interface LiveEvents {
  request: LiveRequest
  invocation: LiveInvocation
  announced: LiveAnnounced
  photo: { key: string }
  meter: Meter
  missed: { count: number }
}

/** The body of every answer that is not 2xx. */
export interface Problem {
  error: string
}
