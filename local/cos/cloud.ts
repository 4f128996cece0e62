import type { Faults } from '../faults.ts'
import type { Pages } from '../guard.ts'
import type { Layout } from '../layout.ts'
import type { Bill } from './bill.ts'
import type { Buckets } from './buckets.ts'
import type { Draft, Objects, Stored } from './objects.ts'
import type { CosRequest } from './request.ts'
import type { Uploads } from './uploads.ts'
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
  /** The Authorization header, '' for a presigned URL: the vendor's events carry it. Not to be logged. */
  authorization: string
  at: number
}

export interface CosOptions {
  dir: string
  /** 0: a free one */
  port: number
  /** The bucket that is there from the start, `<name>-<appid>`. */
  bucket: string
  region: string
  /** By SecretId. Read at every request: temporary keys may be added while running. */
  keys: Map<string, Key>
  /** @throws an Error whose `code` is InvalidImageFormat, ImageResolutionExceed or ImageTooLarge */
  cut(image: Buffer, layouts: Layout[]): Promise<{ png: Buffer; width: number; height: number; blank: boolean }[]>
  faults: Faults
  now?: () => number
  /** Ends after so many milliseconds: the pauses of a line with a speed limit. */
  wait?: (ms: number) => Promise<unknown>
  /** Host names that lead to ports of this machine: in a detect-url, and as names of this COS. */
  hosts?: ReadonlyMap<string, number>
  /** What Last-Modified of an upload marks, which the vendor does not say: when its headers came, or when its body ended; default: end. */
  lastModified?: 'end' | 'start'
  /** The web pages that may use it; its own port is added to them. */
  pages?: Pages
  /** Further buckets that are there from the start. */
  otherBuckets?: readonly string[]
  /** Awaited before the request is answered, so that no accepted object's event is lost. */
  onEvent(event: ObjectEvent): void | Promise<void>
  /** A fault ends the instance that asked, known by its SecretId. */
  onKill?(secretId: string): void
}

/** What the operations share. */
export interface Cloud extends CosOptions {
  now: () => number
  pages: Pages
  wait: (ms: number) => Promise<unknown>
  objects: Objects
  uploads: Uploads
  buckets: Buckets
  bill: Bill
}

/** One request on its way, and the faults that strike it. */
export interface Call {
  request: CosRequest
  /** When its headers were read: ms since the epoch. */
  began: number
  /** The answer is going to be lost. */
  lose: boolean
  /** The last result of a GoodsMatting request is going to be dropped. */
  drop: boolean
  /** Objects younger than this, in milliseconds, are overlooked by forbid-overwrite. */
  race: number
}

/** Publishes a draft and tells of it. */
export async function create(
  cloud: Cloud,
  call: Call,
  draft: Draft,
  object: NewObject,
  via: ObjectEvent['via'],
  forbidOverwrite = false,
): Promise<Stored> {
  const stored = publish(cloud, call, draft, object, forbidOverwrite)
  await tell(cloud, call.request, stored, { kind: 'created', via })
  return stored
}

/** Written now, unless it says otherwise. */
type NewObject = Pick<Stored, 'bucket' | 'etag' | 'headers' | 'key'> & Partial<Pick<Stored, 'modified'>>

export function publish(
  cloud: Cloud,
  { race }: Call,
  draft: Draft,
  object: NewObject,
  forbidOverwrite = false,
): Stored {
  const now = cloud.now()
  const existing = cloud.objects.get(object.bucket, object.key)
  const overlooked = existing !== undefined && now - existing.modified < race
  return cloud.objects.publish(draft, { modified: now, ...object }, forbidOverwrite && !overlooked)
}

/** Last-Modified of an upload that began then and has just ended. */
export function uploaded({ lastModified, now }: Cloud, began: number): number {
  return lastModified === 'start' ? began : now()
}

export async function tell(
  cloud: Cloud,
  request: CosRequest,
  stored: Stored,
  what: Pick<ObjectEvent, 'kind' | 'via'>,
): Promise<void> {
  const meta = Object.fromEntries(
    Object.entries(stored.headers).filter(([name]) => name === 'Content-Type' || name.startsWith('x-cos-meta-')),
  )
  const { bucket, key, size, etag } = stored
  await cloud.onEvent({
    ...what,
    bucket,
    region: cloud.buckets.get(bucket)?.region ?? cloud.region,
    key,
    size,
    etag,
    meta,
    requestId: request.id,
    authorization: request.headers.get('authorization') ?? '',
    at: cloud.now(),
  })
}
