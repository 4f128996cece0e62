import { createHash, randomBytes } from 'node:crypto'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type COS from 'cos-nodejs-sdk-v5'
import fc from 'fast-check'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { Crc64, joinedCrc64 } from '../local/cos/crc64.ts'
import { AT, BUCKET, client, element, photo, REGION, startLab } from './helpers/cos.ts'

// What the suites of the vendor's Node, Python and Go SDKs (test/test.js, ut/test.py, costesting/ and example/) expect of COS.

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
    const { UploadId } = await cos.multipartInit({ ...AT, Key })
    const Parts: COS.Part[] = []
    for (const [i, Body] of parts.entries()) {
      const PartNumber = i + 1
      const { ETag } = await cos.multipartUpload({ ...AT, Key, UploadId, PartNumber, Body })
      Parts.push({ PartNumber, ETag })
    }
    await first.close()
    cos = client(await startLab({ dir: first.options.dir }))
    const whole = crc64(...parts)
    expect(header(await cos.multipartComplete({ ...AT, Key, UploadId, Parts }), CRC64)).toBe(whole)
    expect(header(await cos.headObject({ ...AT, Key }), CRC64)).toBe(whole)
    expect(crc64((await cos.getObject({ ...AT, Key })).Body)).toBe(whole)
  })

  test('parts of more than a GiB together are refused', async () => {
    const first = await startLab({ keep: true })
    const { UploadId } = await client(first).multipartInit({ ...AT, Key: 'big' })
    await first.close()
    const [md5, sum] = ['0'.repeat(32), '0']
    const file = join(first.options.dir, 'uploads', UploadId, `1-${md5}-${sum}`)
    writeFileSync(file, '')
    truncateSync(file, 1024 ** 3 + 1)
    const cos = client(await startLab({ dir: first.options.dir }))
    const complete = cos.multipartComplete({
      ...AT,
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

describe('PUT with Pic-Operations', () => {
  const RULES = JSON.stringify({ is_pic_info: 1, rules: [{ fileid: '/cut.png', rule: 'ci-process=GoodsMatting' }] })

  test('tells ETag and CRC-64 of what was put: Go’s CI.PutFromFile holds them against its own', async () => {
    const lab = await startLab()
    const Body = await photo()
    const md5 = createHash('md5').update(Body).digest('hex')
    const put = await client(lab).putObject({ ...AT, Key: 'a.jpg', Body, Headers: { 'Pic-Operations': RULES } })
    expect([put.ETag, header(put, CRC64)]).toEqual([`"${md5}"`, crc64(Body)])
    expect(lab.bill()).toHaveLength(1)
  })

  const half = { r: 255, g: 0, b: 0 }
  const red = sharp({ create: { width: 8, height: 8, channels: 3, background: half } })
    .composite([{ input: { create: { width: 4, height: 8, channels: 3, background: '#0000ff' } }, left: 0, top: 0 }])
    .png()
    .toBuffer()
  const jpeg = async (quality: number) =>
    sharp(await red)
      .jpeg({ quality, chromaSubsampling: '4:4:4' })
      .toBuffer()
  const grey = { width: 2, height: 1 }

  test.each<[string, () => Promise<Buffer>, string, RegExp]>([
    ['a PNG', () => red, '100', /^0x800080$/],
    ['a JPEG of quality 1', () => jpeg(1), '1', /^0x/],
    ['a JPEG of quality 49', () => jpeg(49), '49', /^0x/],
    ['a JPEG of quality 50', () => jpeg(50), '50', /^0x/],
    ['a JPEG of quality 92', () => jpeg(92), '92', /^0x[78].0.[78].$/],
    ['a JPEG of quality 100', () => jpeg(100), '100', /^0x[78].0.[78].$/],
    [
      'grey with transparency',
      () =>
        sharp(Buffer.from([0, 255, 255, 255]), { raw: { ...grey, channels: 2 } })
          .toColourspace('b-w')
          .png()
          .toBuffer(),
      '100',
      /^0x808080$/,
    ],
    [
      '16 bits a channel',
      async () =>
        sharp(await red)
          .toColourspace('rgb16')
          .png()
          .toBuffer(),
      '100',
      /^0x800080$/,
    ],
    [
      'ink',
      async () =>
        sharp(
          await sharp(await red)
            .linear(0, 255)
            .toBuffer(),
        )
          .toColourspace('cmyk')
          .jpeg({ quality: 90 })
          .toBuffer(),
      '90',
      /^0xf.f.f.$/,
    ],
  ])('tells quality and average colour of %s', async (_, image, quality, average) => {
    const lab = await startLab()
    const headers = { 'Pic-Operations': '{"is_pic_info":1}' }
    const put = await lab.put('a', await image(), headers)
    expect([put.status, element(put, 'Quality')]).toEqual([200, quality])
    expect(element(put, 'Ave')).toMatch(average)
    expect(element(put, 'Ave')).toHaveLength(8)
  })
})

describe('Content-Type, where none was sent, is inferred from the key', () => {
  test.each([
    ['1.zip', 'application/zip'],
    ['1.txt', 'text/plain'],
    ['uploads/mug.JPG', 'image/jpeg'],
    ['a.zip/b.png', 'image/png'],
    ['3', 'application/octet-stream'],
    ['zip', 'application/octet-stream'],
    ['a.zip/b', 'application/octet-stream'],
  ])('%s: %s', async (Key, type) => {
    const lab = await startLab()
    const cos = client(lab)
    await lab.put(Key)
    expect(header(await cos.headObject({ ...AT, Key }), 'content-type')).toBe(type)
    expect(lab.events.map(({ meta }) => meta)).toEqual([{ 'Content-Type': type }])
  })

  test('also of an object in parts, and of a copy whose headers are replaced; one that was sent stays', async () => {
    const lab = await startLab()
    const cos = client(lab)
    const upload = { ...AT, Key: 'a.webp' }
    const { UploadId } = await cos.multipartInit(upload)
    const { ETag } = await cos.multipartUpload({ ...upload, UploadId, PartNumber: 1, Body: 'hello' })
    await cos.multipartComplete({ ...upload, UploadId, Parts: [{ PartNumber: 1, ETag }] })
    await lab.put('a.jpg', 'hello', { 'Content-Type': 'text/html' })
    const source = { 'x-cos-copy-source': `${BUCKET}.cos.${REGION}.myqcloud.com/a.jpg` }
    await lab.send('PUT', 'copied.png', { headers: source })
    await lab.send('PUT', 'replaced.png', { headers: { ...source, 'x-cos-metadata-directive': 'Replaced' } })
    const keys = ['a.webp', 'a.jpg', 'copied.png', 'replaced.png']
    const types = await Promise.all(
      keys.map(async (Key) => header(await cos.headObject({ ...AT, Key }), 'content-type')),
    )
    expect(types).toEqual(['image/webp', 'text/html', 'text/html', 'image/png'])
  })
})

describe('Pic-Operations as SDKs and pages spell them', () => {
  const rule = { fileid: '/cut.png', rule: 'ci-process=GoodsMatting' }

  test.each([
    [{ is_pic_info: '1', rules: [rule] }, 200, true],
    [{ is_pic_info: '0', rules: [rule] }, 200, false],
    [{ is_pic_info: 1, rules: [{ ...rule, 'ignore-error': 1 }] }, 200, true],
    [{ rules: [{ ...rule, 'ignore-error': '0' }] }, 200, false],
    [{ rules: [{ ...rule, 'ignore-error': 2 }] }, 400, false],
    [{ is_pic_info: true, rules: [rule] }, 400, false],
    [{ is_pic_info: [1], rules: [rule] }, 400, false],
  ])('%j: %i', async (operations, status, info) => {
    const lab = await startLab()
    const put = await lab.put('a.jpg', await photo(), { 'Pic-Operations': JSON.stringify(operations) })
    expect([put.status, put.text.includes('<ImageInfo>')]).toEqual([status, info])
    expect(lab.bill()).toHaveLength(status === 200 ? 1 : 0)
  })
})
