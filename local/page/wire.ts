/** What the page of the local cloud and its control port say to each other, in JSON. Types alone: both sides read them. */
import type { Reason } from '../../lib/reason.ts'

/** `GET /api/place`: where everything is, and what may be asked for. */
export interface Place {
  cosUrl: string
  imageUrl: string
  bucket: string
  region: string
  /** SOURCE_PREFIXES: new photos go into the first. */
  folders: string[]
  /** `layout` is the short name, such as `c1-p20x10`; `words` are those of PRESETS. */
  presets: { name: string; layout: string; words: string }[]
  access: string
  /** What cuts out: `own`, or the name of a network and what runs it. */
  engine: string
  /** Whether announcements are sent. */
  events: boolean
  /** Whether the cutouts of a deleted photo go, too. */
  removes: boolean
  version: string
}

/** `POST /api/uploads`: the PUT alone, after which the trigger cuts out; or method two, which cuts out at once. */
export interface UploadAsk {
  name: string
  type: string
  size: number
  way: 'plain' | 'two'
  /** Of way `two`: the MD5 of the bytes in hex. It is part of what is signed, and the ETag before the photo is there. */
  md5?: string
  /** Of way `two`: the preset to be made; default those of the folder. */
  preset?: string
  /** Whether another photo of this name may be overwritten. */
  replace?: boolean
}

export interface UploadGrant {
  key: string
  url: string
  /** To be sent as they are. */
  headers: Record<string, string>
  /** Whether this very photo is there already. */
  same: boolean
  /** What the URL is for: `plain` although `two` was asked for, where there is nothing to pay for, or with CUTOUT_BUCKET. */
  way: 'plain' | 'two'
}

export interface Cutout {
  /** The layout's short name. */
  layout: string
  /** What an image URL says for it: a preset, or the words of a layout that has none. */
  text: string
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
  /** Presigned: the photo itself, and in 640 pixels. The same for a quarter of an hour, so that browsers keep it; another for each version. */
  photoUrl: string
  small: string
  /** Of this version of the photo. */
  cutouts: Cutout[]
  /** Whether its event is waiting or being handled. */
  waiting: boolean
  /** Why it is not cut out: the failure that was noted for this version. */
  mark?: { code: string; message: string }
}

/** `GET /api/photo?key=`: without `photo` if there is none, because browsers tell of each 404 as of an error. */
export interface PhotoAnswer {
  photo?: Photo
}

/** `GET /api/photos?after=&limit=N` */
export interface Photos {
  /** The newest first. */
  photos: Photo[]
  /** To be sent as `after`; missing on the last page. */
  after?: string
}

/** `GET /api/image?key=&text=`; `text` is a preset or words, such as `plain,width=400,format=webp`. */
export interface ImageAnswer {
  url: string
  /** The whole `<img srcset>`. */
  img: string
  /** Whether the photo is so new that caches may still lead to a cutout of the one before: REDIRECT_TTL, and as long again while stale. */
  recent: boolean
  /** Those of `img`. Empty where none may be asked for; then `img` has no srcset. */
  widths: number[]
  sizes: string
}

export type StepName = 'uploaded' | 'event' | 'look' | 'claim' | 'paid' | 'stored' | 'announced' | 'shown'

/** Phrase → what stands in it. `count` is how often. */
export interface StoryFacts {
  uploaded: { size: number; type: string }
  /** `code` is one of lib/errors.ts, if it is known. */
  'given-up': { count: number; message: string; code?: string }
  'comes-again': { count: number }
  'at-work': { function: string }
  'on-its-way': object
  'no-trigger': object
  'no-event': object
  delivered: { function: string; count: number }
  'not-looked': object
  skipped: Ran & { why: string }
  looking: Ran
  'broke-off': Ran & { outcome: string; code?: string }
  looked: Ran
  unclaimed: object
  released: { asker: string; code: string }
  /** `again` is how many attempts followed a first one. */
  claimed: { askers: string[]; cutouts: number; again: number }
  paid: { count: number; method: Method; outcome: string; lost: number }
  'not-paid': { code: string; message: string }
  'not-billed': object
  unpaid: object
  stored: { cutouts: StoredCutout[] }
  'stored-some': { cutouts: StoredCutout[]; missing: string[] }
  blank: { count: number }
  'not-stored': { code: string }
  'not-stored-yet': object
  'nobody-told': object
  'not-taken': object
  'not-announced': object
  'not-chosen': { type: string }
  announced: { type: string }
  'not-shown': object
  shown: { count: number }
}
type StoredCutout = Pick<Cutout, 'text' | 'size'>
interface Ran {
  instance: number
  cold: boolean
}
export type Method = 'one' | 'two' | 'three'

/** What is said, for the texts of a language to phrase. */
export type Said<K extends keyof StoryFacts = keyof StoryFacts> = {
  [P in K]: { phrase: P; facts: StoryFacts[P] }
}[K]

export interface Step {
  step: StepName
  /** ISO 8601 */
  at?: string
  ms?: number
  state: 'done' | 'waiting' | 'failed' | 'missing'
  said: Said
  /** The same in English. */
  text: string
}

/** `GET /api/story?key=`: empty if there is no such photo, because browsers tell of each 404 as of an error. */
export type StoryAnswer = Story | { steps?: never }

export interface Story {
  reason: Reason
  /** The same in English, with what can be done. */
  sentence: string
  steps: Step[]
}

/** `GET /api/meter` */
export interface Meter {
  /** Calls that were paid. */
  paid: number
  /** For how many different cutouts: as many, if each is paid for once. */
  cutouts: number
  /** Cutouts that were asked for, and were there or made by another payer meanwhile; since the local cloud started. */
  saved: number
  /** Basic image processing, which is charged apart. */
  processing: { calls: number; bytes: number }
}

/** `GET /api/cutting`: a picture that the engine has in hand. */
export interface CuttingPicture {
  /** The photo's, or the address of a picture elsewhere. */
  key: string
  /** In this order; `wait` until a thread is free. */
  stage: 'wait' | 'decode' | 'mask' | 'refine' | 'encode'
  /** Since it was asked for. */
  ms: number
}

/** What happens inside, `GET /api/live`: the type of each event, and its data. */
export interface LiveEvents {
  /** A request to COS, just before it is answered. */
  request: {
    method: string
    operation: string
    /** Decoded; missing for a request about the bucket. */
    key?: string
    /** Without signature and token. */
    path: string
    /** 0 if it was not answered. */
    status: number
    ms: number
    /** A web page of the local cloud, the role of a function, anybody else. */
    who: 'page' | 'function' | 'other'
    /** How many cutouts were billed. */
    paid: number
    /** The vendor's code of a refusal. */
    code?: string
  }
  /** When it begins (`running`), and when it has ended. */
  invocation: {
    function: string
    id: string
    instance: string
    cold: boolean
    retry: number
    ms: number
    outcome: string
    key?: string
    paid: number
    /** What was thrown, or why nothing was made. */
    why?: string
  }
  /** An announcement that came to the receiver of `--events`. */
  announced: { type: string; key: string; id: string }
  /** Something of it changed. */
  photo: { key: string }
  /** It takes longer than two seconds; from then on each stage as it begins. */
  cutting: CuttingPicture
  meter: Meter
  /** All is gone: photos, bill, and what was remembered. */
  reset: object
  /** This reader was too slow or away, so it has to look at everything anew. */
  missed: { events: number }
}

export type FaultPresetName = 'lost-answer' | 'slow-down' | 'slow-matting' | 'duplicate-events' | 'killed-instance'

/** A switch: `PUT /api/faults` with the faults of all that are on. */
export interface FaultPreset {
  name: FaultPresetName
  faults: Fault[]
}

export interface Fault {
  on: string
  kind: string
  [more: string]: unknown
}
