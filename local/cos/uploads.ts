import { createHash, randomBytes } from 'node:crypto'
import {
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Draft } from './objects.ts'

export interface Part {
  number: number
  size: number
  md5: string
  crc64: string
  /** ms since the epoch */
  modified: number
}

export interface Upload {
  id: string
  bucket: string
  key: string
  /** ms since the epoch */
  started: number
  headers: Record<string, string>
}

/** Unfinished multipart uploads, each a folder with `upload.json` and one file for each part, `<number>-<md5>-<crc64>`. */
export class Uploads {
  readonly #dir: string
  readonly #uploads = new Map<string, { upload: Upload; parts: Map<number, Part> }>()

  constructor(dir: string) {
    this.#dir = join(dir, 'uploads')
    mkdirSync(this.#dir, { recursive: true })
    for (const id of readdirSync(this.#dir)) {
      const upload = this.#read(id)
      // The process was killed before it gave out this id.
      if (!upload) rmSync(join(this.#dir, id), { recursive: true })
      else this.#uploads.set(id, { upload, parts: this.#readParts(id) })
    }
  }

  start(upload: Omit<Upload, 'id'>): Upload {
    const started = { ...upload, id: `${upload.started}${randomBytes(24).toString('hex')}` }
    mkdirSync(join(this.#dir, started.id))
    writeFileSync(join(this.#dir, started.id, 'upload.json'), JSON.stringify(started))
    this.#uploads.set(started.id, { upload: started, parts: new Map() })
    return started
  }

  get(id: string): Upload | undefined {
    return this.#uploads.get(id)?.upload
  }

  list(bucket: string): Upload[] {
    const uploads = [...this.#uploads.values()].map(({ upload }) => upload).filter((upload) => upload.bucket === bucket)
    return uploads.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) || (a.id < b.id ? -1 : 1))
  }

  /** The parts in the order of their numbers. */
  parts(id: string): Part[] {
    return [...(this.#uploads.get(id)?.parts.values() ?? [])].sort((a, b) => a.number - b.number)
  }

  /** Makes a draft a part. A later part with the same number replaces it. */
  add(id: string, number: number, draft: Draft, modified: number): void {
    const entry = this.#uploads.get(id)
    if (!entry) return
    const part = { number, size: draft.size, md5: draft.md5, crc64: draft.crc64, modified }
    const before = entry.parts.get(number)
    renameSync(draft.path, this.#file(id, part))
    entry.parts.set(number, part)
    if (before && before.md5 !== part.md5) rmSync(this.#file(id, before), { force: true })
  }

  /** Takes an upload off the list, so that no other request can complete it meanwhile. `putBack` undoes this. */
  take(id: string): void {
    this.#uploads.delete(id)
  }

  putBack(upload: Upload): void {
    this.#uploads.set(upload.id, { upload, parts: this.#readParts(upload.id) })
  }

  remove(id: string): void {
    this.#uploads.delete(id)
    rmSync(join(this.#dir, id), { recursive: true, force: true })
  }

  clear(): void {
    for (const id of [...this.#uploads.keys()]) this.remove(id)
  }

  /** The bytes of the parts, one after the other. */
  stream(id: string, parts: readonly Part[]): Readable {
    const files = parts.map((part) => this.#file(id, part))
    return Readable.from(
      (async function* () {
        for (const file of files) yield* createReadStream(file)
      })(),
      { objectMode: false },
    )
  }

  #file(id: string, { number, md5, crc64 }: Part): string {
    return join(this.#dir, id, `${number}-${md5}-${crc64}`)
  }

  #read(id: string): Upload | undefined {
    try {
      const value = Object(JSON.parse(readFileSync(join(this.#dir, id, 'upload.json'), 'utf8'))) as Upload
      const { bucket, key, started, headers } = value as Partial<Record<keyof Upload, unknown>>
      const texts = [bucket, key, ...Object.values(Object(headers))]
      return texts.every((t) => typeof t === 'string') && typeof started === 'number' ? { ...value, id } : undefined
    } catch {
      return undefined
    }
  }

  #readParts(id: string): Map<number, Part> {
    const parts = new Map<number, Part>()
    for (const name of readdirSync(join(this.#dir, id))) {
      const match = /^(\d+)-([0-9a-f]{32})-(\d+)$/.exec(name)
      const [, digits, md5, crc64] = match ?? []
      if (!md5 || !crc64) continue
      const number = Number(digits)
      const { size, mtimeMs } = statSync(join(this.#dir, id, name))
      // If the process was killed while it replaced a part, both files exist, and the later one counts.
      if (mtimeMs >= (parts.get(number)?.modified ?? 0))
        parts.set(number, { number, size, md5, crc64, modified: mtimeMs })
    }
    return parts
  }
}

/** The ETag of a multipart object: the MD5 of the parts' MD5s, and the number of parts. */
export function multipartEtag(parts: readonly Part[]): string {
  const md5 = createHash('md5')
  for (const part of parts) md5.update(part.md5, 'hex')
  return `${md5.digest('hex')}-${parts.length}`
}
