import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Entry, fromBufferPromise } from 'yauzl'
import { ApiError } from './error.ts'

/** The vendor's bound is 500 MB (product/583/11637); a laptop's is less. */
const MAX_BYTES = 256 * 1024 ** 2
const MAX_ENTRIES = 10_000

/** Of the upper 16 bits of an entry's attributes, where Unix keeps its file modes: the type, of which a plain file's is 8 and a folder's 4. */
const KINDS = [0, 4, 8]

/**
 * Unpacks the code of a function into a folder that is not there yet. It comes from whoever holds a key, so no entry may lie
 * outside the folder, be a link, or be larger than it says; whatever is wrong, nothing stays.
 * @throws ApiError
 */
export async function unpack(base64: string, dir: string, maxBytes = MAX_BYTES): Promise<number> {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0)
    throw new ApiError('InvalidParameterValue.ZipFileBase64BinasciiError', 'ZipFile is not base64.')
  const zip = Buffer.from(base64, 'base64')
  try {
    await mkdir(dir, { recursive: true })
    // It refuses names that are absolute or hold `..`, and bytes beyond the size that an entry claims.
    const file = await fromBufferPromise(zip, { strictFileNames: true })
    if (file.entryCount > MAX_ENTRIES) throw refusal(`holds more than ${MAX_ENTRIES} entries`)
    let total = 0
    for await (const entry of file.eachEntry()) {
      total += entry.uncompressedSize
      if (total > maxBytes) throw refusal(`is larger than ${maxBytes} bytes when unpacked`)
      check(entry)
      const path = join(dir, entry.fileName)
      await mkdir(entry.fileName.endsWith('/') ? path : dirname(path), { recursive: true })
      if (entry.fileName.endsWith('/')) continue
      // `wx`: an entry that comes twice is no way to write over what another has made.
      await pipeline(await file.openReadStreamPromise(entry), createWriteStream(path, { flags: 'wx' }))
    }
    return zip.length
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    if (error instanceof ApiError) throw error
    throw refusal(`cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function check({ externalFileAttributes, fileName, versionMadeBy }: Entry): void {
  const madeByUnix = versionMadeBy >>> 8 === 3
  if (madeByUnix && !KINDS.includes(externalFileAttributes >>> 28))
    throw refusal(`holds ${JSON.stringify(fileName)}, which is neither a file nor a folder`)
}

function refusal(why: string): ApiError {
  return new ApiError('InvalidParameterValue.ZipFile', `ZipFile ${why}.`)
}
