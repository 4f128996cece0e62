import { randomBytes } from 'node:crypto'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import COS from 'cos-nodejs-sdk-v5'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Crc64, joinedCrc64 } from '../local/cos/crc64.ts'
import { BUCKET, ID, type Lab, REGION, SECRET, startLab } from './helpers/cos.ts'

// What the suites of the vendor's Node, Python and Go SDKs (test/test.js, ut/test.py, costesting/ and example/) expect of COS.

const at = { Bucket: BUCKET, Region: REGION }

function client({ port }: Lab): COS {
  return new COS({ SecretId: ID, SecretKey: SECRET, Domain: `127.0.0.1:${port}`, Protocol: 'http:' })
}

function crc64(...pieces: Uint8Array[]): string {
  const sum = new Crc64()
  for (const piece of pieces) sum.update(piece)
  return sum.digest()
}

/** A header as the SDK gives it. */
function header({ headers }: { headers?: COS.Headers }, name: string): unknown {
  return headers?.[name]
}

const CRC64 = 'x-cos-hash-crc64ecma'

describe('CRC-64 of an object in parts: Go’s Object.Upload holds it against its own', () => {
  test('answers to CompleteMultipartUpload and HEAD have that of all bytes, also after a restart', async () => {
    const first = await startLab({ keep: true })
    let cos = client(first)
    const Key = 'big'
    const parts = [randomBytes(1024 ** 2), randomBytes(1024 ** 2 + 7), randomBytes(5)]
    const { UploadId } = await cos.multipartInit({ ...at, Key })
    const Parts: COS.Part[] = []
    for (const [i, Body] of parts.entries()) {
      const PartNumber = i + 1
      const { ETag } = await cos.multipartUpload({ ...at, Key, UploadId, PartNumber, Body })
      Parts.push({ PartNumber, ETag })
    }
    await first.close()
    cos = client(await startLab({ dir: first.options.dir }))
    const whole = crc64(...parts)
    expect(header(await cos.multipartComplete({ ...at, Key, UploadId, Parts }), CRC64)).toBe(whole)
    expect(header(await cos.headObject({ ...at, Key }), CRC64)).toBe(whole)
    expect(crc64((await cos.getObject({ ...at, Key })).Body)).toBe(whole)
  })

  test('parts of more than a GiB together are refused', async () => {
    const first = await startLab({ keep: true })
    const { UploadId } = await client(first).multipartInit({ ...at, Key: 'big' })
    await first.close()
    const [md5, sum] = ['0'.repeat(32), '0']
    const file = join(first.options.dir, 'uploads', UploadId, `1-${md5}-${sum}`)
    writeFileSync(file, '')
    truncateSync(file, 1024 ** 3 + 1)
    const cos = client(await startLab({ dir: first.options.dir }))
    const complete = cos.multipartComplete({
      ...at,
      Key: 'big',
      UploadId,
      Parts: [{ PartNumber: 1, ETag: `"${md5}"` }],
    })
    await expect(complete).rejects.toMatchObject({ code: 'EntityTooLarge' })
  })

  test('is joined from the sums of the parts, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (pieces) => {
        const sums = pieces.map((piece) => ({ crc64: crc64(piece), size: piece.length }))
        expect(joinedCrc64(sums)).toBe(crc64(...pieces))
      }),
    )
  })
})
