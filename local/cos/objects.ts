import { createHash, randomUUID } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isFileId, parseJson } from '../folder.ts'
import { Refusal } from './answer.ts'
import { Crc64 } from './crc64.ts'

export interface Stored {
  bucket: string
  key: string
  size: number
  /** Without quotes. */
  etag: string
  crc64: string
  /** ms since the epoch */
  modified: number
  /** The headers that are given back as they came: Content-Type and the like, and `x-cos-meta-*`. */
  headers: Record<string, string>
  /** The name of the file with the bytes. Bytes are never changed in place. */
  file: string
}

/** Bytes that were received but are not an object yet. */
export interface Draft {
  path: string
  size: number
  md5: string
  crc64: string
}

/**
 * The objects of all buckets, in a folder. `bytes/` holds the bytes under random names, `meta/` one JSON file for each object
 * under the hash of its key, so that every key is possible. One rename or unlink in `meta/` creates, changes or removes an
 * object. What a killed process leaves in `tmp/`, or in `bytes/` without a JSON file, is removed at the next start.
 */
export class Objects {
  readonly #dir: string
  readonly #buckets = new Map<string, Map<string, Stored>>()
  /** Sorted at the first list, and kept sorted: to sort a large bucket anew after each write would make a backfill quadratic. */
  readonly #sorted = new Map<string, Stored[]>()

  constructor(dir: string) {
    this.#dir = dir
    rmSync(join(dir, 'tmp'), { recursive: true, force: true })
    for (const name of ['tmp', 'bytes', 'meta']) mkdirSync(join(dir, name), { recursive: true })
    const orphans = new Set(readdirSync(join(dir, 'bytes')))
    for (const name of readdirSync(join(dir, 'meta'))) {
      const stored = parseStored(readFileSync(join(dir, 'meta', name), 'utf8'))
      // Better not to start than to lose objects silently, or to have two that share their bytes.
      if (!stored || metaName(stored) !== name || !orphans.delete(stored.file))
        throw new Error(`${join(dir, 'meta', name)} does not describe an object of this folder.`)
      this.#bucket(stored.bucket).set(stored.key, stored)
    }
    for (const name of orphans) rmSync(join(dir, 'bytes', name))
  }

  get(bucket: string, key: string): Stored | undefined {
    return this.#bucket(bucket).get(key)
  }

  /** The objects whose keys are this one or behind it, in the order in which COS lists them. */
  *from(bucket: string, key: string): Generator<Stored> {
    let list = this.#sorted.get(bucket)
    if (!list) {
      list = [...this.#bucket(bucket).values()].sort((a, b) => compareKeys(a.key, b.key))
      this.#sorted.set(bucket, list)
    }
    for (let i = place(list, key); i < list.length; i++) {
      const stored = list[i]
      if (stored) yield stored
    }
  }

  /** Receives at most `limit` bytes. The caller must publish or discard the draft. */
  async receive(source: Readable, limit: number): Promise<Draft> {
    const path = this.#temporary()
    const md5 = createHash('md5')
    const crc64 = new Crc64()
    let size = 0
    try {
      await pipeline(
        source,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            size += chunk.length
            if (size > limit) throw new Refusal('EntityTooLarge')
            md5.update(chunk)
            crc64.update(chunk)
            yield chunk
          }
        },
        // Opened here, because a stream that opens its file later might create it again after it was removed.
        createWriteStream(path, { fd: openSync(path, 'w') }),
      )
    } catch (error) {
      rmSync(path, { force: true })
      throw error
    }
    return { path, size, md5: md5.digest('hex'), crc64: crc64.digest() }
  }

  /** Receives bytes whose sums are known. */
  async join(source: Readable, sums: Omit<Draft, 'path'>): Promise<Draft> {
    const path = this.#temporary()
    try {
      await pipeline(source, createWriteStream(path, { fd: openSync(path, 'w') }))
    } catch (error) {
      rmSync(path, { force: true })
      throw error
    }
    return { path, ...sums }
  }

  /** A draft with an object's bytes. They never change, so a hard link is enough. */
  copy(stored: Stored): Draft {
    const path = this.#temporary()
    linkSync(join(this.#dir, 'bytes', stored.file), path)
    return { path, size: stored.size, md5: '', crc64: stored.crc64 }
  }

  discard(draft: Draft): void {
    rmSync(draft.path, { force: true })
  }

  /**
   * Makes a draft an object. It is synchronous from the check to the rename, so that of all writers who forbid overwriting
   * exactly one succeeds.
   */
  publish(draft: Draft, object: Omit<Stored, 'crc64' | 'file' | 'size'>, forbidOverwrite = false): Stored {
    const before = this.get(object.bucket, object.key)
    if (forbidOverwrite && before) {
      this.discard(draft)
      throw new Refusal('FileAlreadyExists')
    }
    const stored: Stored = { ...object, size: draft.size, crc64: draft.crc64, file: randomUUID() }
    renameSync(draft.path, join(this.#dir, 'bytes', stored.file))
    const meta = this.#temporary()
    writeFileSync(meta, JSON.stringify(stored))
    renameSync(meta, this.#meta(stored))
    this.#bucket(stored.bucket).set(stored.key, stored)
    const list = this.#sorted.get(stored.bucket)
    list?.splice(place(list, stored.key), before ? 1 : 0, stored)
    if (before) rmSync(join(this.#dir, 'bytes', before.file), { force: true })
    return stored
  }

  /** @returns whether there was such an object */
  remove(bucket: string, key: string): boolean {
    const stored = this.get(bucket, key)
    if (!stored) return false
    rmSync(this.#meta(stored))
    this.#bucket(bucket).delete(key)
    const list = this.#sorted.get(bucket)
    list?.splice(place(list, key), 1)
    rmSync(join(this.#dir, 'bytes', stored.file), { force: true })
    return true
  }

  clear(): void {
    for (const [bucket, objects] of this.#buckets) for (const key of [...objects.keys()]) this.remove(bucket, key)
  }

  /** The file is opened at once, so the bytes are those of this version even if the object is replaced meanwhile. */
  stream(stored: Stored, range?: { start: number; end: number }): Readable {
    const path = join(this.#dir, 'bytes', stored.file)
    return createReadStream(path, { fd: openSync(path, 'r'), ...range })
  }

  bytes(stored: Stored): Buffer {
    return readFileSync(join(this.#dir, 'bytes', stored.file))
  }

  draftBytes(draft: Draft): Buffer {
    return readFileSync(draft.path)
  }

  #bucket(name: string): Map<string, Stored> {
    let bucket = this.#buckets.get(name)
    if (!bucket) {
      bucket = new Map()
      this.#buckets.set(name, bucket)
    }
    return bucket
  }

  #temporary(): string {
    return join(this.#dir, 'tmp', randomUUID())
  }

  #meta(stored: Stored): string {
    return join(this.#dir, 'meta', metaName(stored))
  }
}

/** Where a key is in a sorted list, or would be. */
function place(list: readonly Stored[], key: string): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareKeys(list[middle]?.key ?? '', key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** By the bytes of UTF-8, as COS lists keys. JavaScript compares UTF-16, where characters above U+FFFF come before U+E000. */
export function compareKeys(a: string, b: string): number {
  const end = Math.min(a.length, b.length)
  for (let i = 0; i < end; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit
}

function metaName({ bucket, key }: Stored): string {
  return `${createHash('sha256').update(`${bucket}/${key}`).digest('hex')}.json`
}

function parseStored(text: string): Stored | undefined {
  const value = parseJson(text) as Partial<Record<keyof Stored, unknown>>
  const { bucket, key, size, etag, crc64, modified, headers, file } = value
  const texts = [bucket, key, etag, crc64, ...Object.values(Object(headers))]
  const isStored = texts.every((t) => typeof t === 'string') && typeof size === 'number' && typeof modified === 'number'
  return isStored && isFileId(file) ? (value as Stored) : undefined
}
