import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { access, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { parse } from 'csv-parse'
import { MattingError } from '../lib/errors.ts'
import { isUnder } from '../lib/source.ts'
import { type Account, ask, type Fields, fields, list, text } from './api.ts'
import { type Entry, pagesOf } from './sources.ts'

/** So many bytes of a file are fetched at a time. */
const PIECE = 4 * 1024 * 1024
/** A row has no more characters: a key has at most 850 bytes. What unpacks to an endless one must not fill the memory. */
const MAX_ROW = 64 * 1024

/**
 * The objects in a COS Inventory (product/436/33703): `place` is its manifest.json, as a file or as a key of the bucket. Its
 * lists lie beside that file, or in the bucket that the manifest names. Each list is fetched whole and its MD5 compared before
 * anything in it counts. @throws MattingError bad-request, saying what is wrong
 */
export async function* fromInventory(
  account: Account,
  bucket: string,
  place: string,
  folders: readonly string[],
): AsyncGenerator<Entry[]> {
  const isFile = await isThere(place)
  const wrong = (what: string) => new MattingError('bad-request', `${place}: ${what}`)
  const manifest = await readManifest(account, bucket, place, isFile).catch((error: unknown) => {
    throw error instanceof MattingError ? wrong(error.message) : wrong('it is no manifest in JSON')
  })
  const name = (which: string, appid: string) => withAppid(text(manifest[which]), text(manifest[appid]))
  const source = name('sourceBucket', 'sourceAppid')
  if (source !== bucket) throw wrong(`it is about the bucket ${source || '(none)'}, not ${bucket}`)
  if (text(manifest.fileFormat).toUpperCase() !== 'CSV')
    throw wrong(`its format is ${text(manifest.fileFormat) || 'not said'}, expected CSV`)
  const columns = text(manifest.fileSchema)
    .split(',')
    .map((column) => column.trim().toLowerCase())
  if (!columns.includes('key')) throw wrong('its fileSchema has no column Key')
  const files = list(manifest.files).map((file) => ({
    key: text(file.key),
    md5: text(file.md5Checksum ?? file.MD5checksum),
  }))
  if (files.length === 0) throw wrong('it names no files')
  const dir = await mkdtemp(join(tmpdir(), 'inventory-'))
  try {
    for (const { key, md5 } of files) {
      const beside = join(dirname(place), basename(key))
      const isBeside = isFile && (await isThere(beside))
      const file = isBeside ? beside : join(dir, 'list')
      if (!isBeside) await fetchFile(account, name('destinationBucket', 'destinationAppid') || bucket, key, file)
      if ((await md5Of(file)) !== md5.toLowerCase()) throw wrong(`the MD5 of ${key} is another one`)
      yield* pagesOf(entries(file, key, columns, folders, wrong))
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function* entries(
  file: string,
  key: string,
  columns: string[],
  folders: readonly string[],
  wrong: (what: string) => MattingError,
): AsyncGenerator<Entry> {
  const rows = parse({ columns, skip_empty_lines: true, max_record_size: MAX_ROW })
  const streams = key.endsWith('.gz') ? [createGunzip(), rows] : [rows]
  // What it throws is thrown by the loop below as well.
  const piped = pipeline([createReadStream(file), ...streams]).catch(
    (error: unknown) => void rows.destroy(Object(error)),
  )
  try {
    for await (const row of rows) {
      const entry = readRow(fields(row))
      if (entry && (folders.length === 0 || isUnder(entry.key, folders))) yield entry
    }
    await piped
  } catch (error) {
    throw wrong(`${key} cannot be read: ${Object(error).message}`)
  }
}

/** Undefined for what is no current object. */
function readRow(row: Fields): Entry | undefined {
  if (/^false$/i.test(text(row.islatest)) || /^true$/i.test(text(row.isdeletemarker))) return undefined
  const raw = text(row.key)
  const key = decodeURIComponent(raw)
  const [size, etag, written] = [
    text(row.size),
    text(row.etag).replaceAll('"', ''),
    Date.parse(text(row.lastmodifieddate)),
  ]
  return {
    key,
    // It is not said whether a blank is written as in URLs or as in forms. The bucket decides.
    other: raw.includes('+') ? decodeURIComponent(raw.replaceAll('+', ' ')) : undefined,
    size: /^\d+$/.test(size) ? Number(size) : undefined,
    etag: etag.length >= 16 ? etag : undefined,
    written: Number.isNaN(written) ? undefined : written,
  }
}

async function readManifest(account: Account, bucket: string, place: string, isFile: boolean): Promise<Fields> {
  if (isFile) return fields(JSON.parse(await readFile(place, 'utf8')))
  const { body } = await ask(account, { bucket, door: 'cos', method: 'GET', key: place }).catch((error: unknown) => {
    throw new MattingError(
      'bad-request',
      `there is no such file, and in the bucket: ${MattingError.from(error).message}`,
    )
  })
  return fields(JSON.parse(body.toString()))
}

async function fetchFile(account: Account, bucket: string, key: string, file: string): Promise<void> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let start = 0, total = 1; start < total; ) {
      const headers = { range: `bytes=${start}-${start + PIECE - 1}` }
      const answer = await ask(account, { bucket, door: 'cos', method: 'GET', key, headers }, [200, 206])
      total = Number(/\/(\d+)$/.exec(text(answer.headers['content-range']))?.[1] ?? 0)
      if (answer.body.length === 0 && start < total)
        throw new MattingError('unavailable', `${key} broke off after ${start} of ${total} bytes.`)
      start += answer.body.length
      yield answer.body
    }
  }
  await pipeline(Readable.from(pieces()), createWriteStream(file))
}

async function md5Of(file: string): Promise<string> {
  const hash = createHash('md5')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

/** In the page's example the names have no appid, in practice they may. */
function withAppid(name: string, appid: string): string {
  return name === '' || appid === '' || name.endsWith(`-${appid}`) ? name : `${name}-${appid}`
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
