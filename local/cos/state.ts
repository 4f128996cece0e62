import { setTimeout as sleep } from 'node:timers/promises'
import type { Faults } from '../faults.ts'
import { checkFolder } from '../folder.ts'
import type { Pages } from '../guard.ts'
import type { Layout } from '../layout.ts'
import { Bill } from './bill.ts'
import { Buckets } from './buckets.ts'
import { type Draft, Objects, type Stored } from './objects.ts'
import { defaultReadings, type Readings } from './readings.ts'
import type { CosRequest } from './request.ts'
import { Uploads } from './uploads.ts'
import type { Key } from './verify.ts'

export interface ObjectEvent {
  kind: 'created' | 'removed'
  via: 'Put' | 'Post' | 'Copy' | 'CompleteMultipartUpload' | 'Delete'
  bucket: string
  region: string
  key: string
  size: number
  /** Without quotes. */
  etag: string
  /** `Content-Type` and `x-cos-meta-*`. */
  meta: Record<string, string>
  requestId: string
  /** The Authorization header; '' for a presigned URL. The vendor's events carry it, so events must not be logged. */
  authorization: string
  at: number
}

export interface CosOptions {
  dir: string
  /** 0 chooses a free port. */
  port: number
  /** The bucket that exists from the start, `<name>-<appid>`. */
  bucket: string
  region: string
  /** The keys by their SecretId. They are looked up at every request, so temporary keys may be added at any time. */
  keys: Map<string, Key>
  /**
   * `name` is the photo's key, or the address of a picture elsewhere.
   * @throws an Error whose `code` is InvalidImageFormat, ImageResolutionExceed or ImageTooLarge
   */
  cut(
    image: Buffer,
    layouts: Layout[],
    name: string,
  ): Promise<{ png: Buffer; width: number; height: number; blank: boolean }[]>
  faults: Faults
  now?: () => number
  /** Resolves after so many milliseconds; makes the pauses of a transfer with a speed limit. */
  wait?: (ms: number) => Promise<unknown>
  /** Host names that lead to ports of this machine, in a detect-url; this COS also answers to them. */
  hosts?: ReadonlyMap<string, number>
  /** Whether Last-Modified is the time when an upload's body ended or its headers came, which is not documented; default end. */
  lastModified?: 'end' | 'start'
  /** The web pages that may use this COS. Its own port is added. */
  pages?: Pages
  /** Further buckets that exist from the start. */
  otherBuckets?: readonly string[]
  /** Awaited before the request is answered, so that the event of an accepted object is never lost. */
  onEvent(event: ObjectEvent): void | Promise<void>
  /** Called when a fault ends the instance that asked; its SecretId tells which. */
  onKill?(secretId: string): void
}

/** The state that all operations share. */
export interface State extends CosOptions {
  now: () => number
  pages: Pages
  wait: (ms: number) => Promise<unknown>
  objects: Objects
  uploads: Uploads
  buckets: Buckets
  bill: Bill
  readings: Readings
}

/** Reads what the folder has. */
export function openState(options: CosOptions): State {
  checkFolder(options.dir)
  const now = options.now ?? Date.now
  return {
    ...options,
    now,
    pages: options.pages ?? { ports: new Set(), origins: [] },
    wait: options.wait ?? sleep,
    objects: new Objects(options.dir),
    uploads: new Uploads(options.dir),
    buckets: new Buckets(options.dir, [options.bucket, ...(options.otherBuckets ?? [])], options.region, now()),
    bill: new Bill(options.dir),
    readings: defaultReadings(),
  }
}

/** One request, and the faults that strike it. */
export interface Call {
  request: CosRequest
  /** When its headers were read: ms since the epoch. */
  began: number
  /** Whether a fault will take the answer away. */
  lose: boolean
  /** Whether a fault will drop the last result of a GoodsMatting request. */
  drop: boolean
  /** x-cos-forbid-overwrite overlooks objects that are younger than this, in milliseconds. */
  race: number
  /** How many cutouts were billed. */
  billed: number
}

/** Makes a draft an object, and sends its event. */
export async function create(
  state: State,
  call: Call,
  draft: Draft,
  object: NewObject,
  via: ObjectEvent['via'],
  forbidOverwrite = false,
): Promise<Stored> {
  const stored = publish(state, call, draft, object, forbidOverwrite)
  await tell(state, call.request, stored, { kind: 'created', via })
  return stored
}

/** Without `modified`, the object is written now. */
type NewObject = Pick<Stored, 'bucket' | 'etag' | 'headers' | 'key'> & Partial<Pick<Stored, 'modified'>>

/** Makes a draft an object, without an event. */
export function publish(
  state: State,
  { race }: Call,
  draft: Draft,
  object: NewObject,
  forbidOverwrite = false,
): Stored {
  const now = state.now()
  const existing = state.objects.get(object.bucket, object.key)
  const overlooked = existing !== undefined && now - existing.modified < race
  // It has no effect where versioning is on, or ever was (field reports).
  const versioned = state.buckets.get(object.bucket)?.versioning !== undefined
  return state.objects.publish(draft, { modified: now, ...object }, forbidOverwrite && !overlooked && !versioned)
}

/** The Last-Modified of an upload that has just ended. */
export function lastModifiedOf({ lastModified, now }: State, began: number): number {
  return lastModified === 'start' ? began : now()
}

/** Sends the event of an object. */
export async function tell(
  state: State,
  request: CosRequest,
  stored: Stored,
  what: Pick<ObjectEvent, 'kind' | 'via'>,
): Promise<void> {
  const meta = Object.fromEntries(
    Object.entries(stored.headers).filter(([name]) => name === 'Content-Type' || name.startsWith('x-cos-meta-')),
  )
  const { bucket, key, size, etag } = stored
  await state.onEvent({
    ...what,
    bucket,
    region: state.buckets.get(bucket)?.region ?? state.region,
    key,
    size,
    etag,
    meta,
    requestId: request.id,
    authorization: request.headers.get('authorization') ?? '',
    at: state.now(),
  })
}
