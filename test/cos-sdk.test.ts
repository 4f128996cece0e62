import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type COS from 'cos-nodejs-sdk-v5'
import { expect, onTestFinished, test } from 'vitest'
import { AT as at, BUCKET, client, photo, REGION, startLab } from './helpers/cos.ts'

function uploads(cos: COS): Promise<object[]> {
  return new Promise((resolve, reject) => {
    cos.multipartList({ ...at, Prefix: '', Delimiter: '' }, (error, data) =>
      error ? reject(error) : resolve(data.Upload),
    )
  })
}

const rules = (...fileids: string[]) =>
  JSON.stringify({ is_pic_info: 1, rules: fileids.map((fileid) => ({ fileid, rule: 'ci-process=GoodsMatting' })) })

test.each([
  ['at its address', {}],
  ['as a proxy, by its own host name', { Domain: '', proxied: true }],
])(
  'an object is put, headed, got, copied, listed and deleted %s',
  async (_, { proxied, ...options }: { proxied?: boolean }) => {
    const lab = await startLab()
    const cos = client(lab, { ...options, ...(proxied && { Proxy: `http://127.0.0.1:${lab.port}` }) })
    const Key = 'uploads/shoe 01(红)+%#?&.jpg'
    const Body = Buffer.from('hello')
    const put = await cos.putObject({ ...at, Key, Body, ContentType: 'image/jpeg', 'x-cos-meta-note': 'a b' })
    expect(put.ETag).toBe('"5d41402abc4b2a76b9719d911017c592"')
    const head = await cos.headObject({ ...at, Key })
    expect(head.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': '5',
      'x-cos-meta-note': 'a b',
    })
    expect((await cos.getObject({ ...at, Key })).Body.toString()).toBe('hello')
    const path = Key.split('/').map(encodeURIComponent).join('/')
    const CopySource = `${BUCKET}.cos.${REGION}.myqcloud.com/${path}`
    expect((await cos.putObjectCopy({ ...at, Key: 'copy', CopySource })).ETag).toBe(put.ETag)
    const listed = await cos.getBucket({ ...at, Prefix: '' })
    expect(listed.Contents.map((entry) => entry.Key)).toEqual(['copy', Key])
    await cos.deleteObject({ ...at, Key })
    await expect(cos.headObject({ ...at, Key })).rejects.toMatchObject({ statusCode: 404 })
    expect(lab.events.map(({ kind, via, key }) => [kind, via, key])).toEqual([
      ['created', 'Put', Key],
      ['created', 'Copy', 'copy'],
      ['removed', 'Delete', Key],
    ])
  },
)

test('a file goes up in parts, and comes down the same', async () => {
  const lab = await startLab()
  const cos = client(lab)
  const dir = mkdtempSync(join(tmpdir(), 'cos-sdk-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const bytes = Buffer.alloc(2.5 * 1024 ** 2, 'slice ')
  writeFileSync(join(dir, 'big'), bytes)
  const up = await cos.sliceUploadFile({
    ...at,
    Key: 'uploads/big.bin',
    FilePath: join(dir, 'big'),
    SliceSize: 0,
    ChunkSize: 1024 ** 2,
  })
  expect(up.ETag).toMatch(/^"[0-9a-f]{32}-3"$/)
  const got = await cos.getObject({ ...at, Key: 'uploads/big.bin' })
  expect(got.Body.equals(bytes)).toBe(true)
  expect(lab.events).toMatchObject([{ via: 'CompleteMultipartUpload', key: 'uploads/big.bin', size: bytes.length }])
  expect(await uploads(cos)).toEqual([])
})

test('an upload begun by another client is found and gone on with', async () => {
  const cos = client(await startLab())
  const { UploadId } = await cos.multipartInit({ ...at, Key: 'a&b <"1">' })
  await cos.multipartUpload({ ...at, Key: 'a&b <"1">', UploadId, PartNumber: 1, Body: Buffer.from('one') })
  expect(await uploads(cos)).toMatchObject([{ Key: 'a&b <"1">', UploadId }])
  const { Part } = await cos.multipartListPart({ ...at, Key: 'a&b <"1">', UploadId })
  expect(Part).toMatchObject([{ PartNumber: '1', Size: '3', ETag: '"f97c5d29941bfb1b2fdab0874906ab82"' }])
  await cos.multipartAbort({ ...at, Key: 'a&b <"1">', UploadId })
  await expect(cos.multipartListPart({ ...at, Key: 'a&b <"1">', UploadId })).rejects.toMatchObject({
    code: 'NoSuchUpload',
  })
})

test('getObjectUrl, in both forms, opens what it was made for, with processing parameters too', async () => {
  const lab = await startLab()
  const cos = client(lab)
  const Key = 'uploads/a b(红).jpg'
  await cos.putObject({ ...at, Key, Body: await photo() })
  const Query = { 'ci-process': 'GoodsMatting', 'center-layout': '1', 'padding-layout': '20x10' }
  const direct = cos.getObjectUrl({ ...at, Key, Sign: true, Protocol: 'http:', Query })
  const called = await new Promise<string>((resolve) => {
    cos.getObjectUrl({ ...at, Key, Sign: true, Protocol: 'http:', Query }, (_error, data) => resolve(data.Url))
  })
  expect(direct).toContain('center-layout;ci-process;padding-layout')
  expect(called).toContain('center-layout%3bci-process%3bpadding-layout')
  for (const url of [direct, called]) {
    const response = await fetch(url)
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png'])
  }
  const tampered = await fetch(direct.replace('padding-layout=20x10', 'padding-layout=21x10'))
  expect([tampered.status, (await tampered.text()).includes('SignatureDoesNotMatch')]).toEqual([403, true])
  expect(lab.bill()).toHaveLength(2)
})

test('GoodsMatting in all three methods', async () => {
  const lab = await startLab()
  const cos = client(lab)
  const Key = 'uploads/shoe.jpg'
  const up = await cos.putObject({
    ...at,
    Key,
    Body: await photo(),
    Headers: { 'Pic-Operations': rules('/cutouts/1.png') },
  })
  // What the SDK's own type leaves out of PutObjectResult.
  const { UploadResult } = up as typeof up & { UploadResult: { ProcessResults: { Object: Record<string, string> } } }
  expect(UploadResult.ProcessResults.Object).toMatchObject({
    Key: 'cutouts/1.png',
    Location: `${BUCKET}.cos.${REGION}.myqcloud.com/cutouts/1.png`,
    ETag: expect.stringMatching(/^"[0-9a-f]{40}"$/),
  })
  const Headers = { 'Pic-Operations': rules('/cutouts/2.png', '/cutouts/3.png') }
  const cloud = await cos.request({ ...at, Method: 'POST', Key, Action: 'image_process', Headers })
  expect(cloud).toMatchObject({
    UploadResult: {
      OriginalInfo: { Key, ImageInfo: { Format: 'JPEG', Width: '40', Height: '30', Orientation: '1' } },
      ProcessResults: { Object: [{ Key: 'cutouts/2.png' }, { Key: 'cutouts/3.png' }] },
    },
  })
  const Query = { 'ci-process': 'GoodsMatting' }
  const down = await cos.request({ ...at, Method: 'GET', Key, Query, RawBody: true })
  const stored = await cos.getObject({ ...at, Key: 'cutouts/2.png' })
  expect(Buffer.compare(down.Body as Buffer, stored.Body)).toBe(0)
  expect(lab.bill().map(({ method, fileid, outcome }) => [method, fileid, outcome])).toEqual([
    ['upload', 'cutouts/1.png', 'stored'],
    ['cloud', 'cutouts/2.png', 'stored'],
    ['cloud', 'cutouts/3.png', 'stored'],
    ['download', '', 'returned'],
  ])
})

test('processing upon a sliced upload', async () => {
  const lab = await startLab()
  const cos = client(lab)
  const Key = 'uploads/shoe.jpg'
  const { UploadId } = await cos.multipartInit({ ...at, Key })
  const part = await cos.multipartUpload({ ...at, Key, UploadId, PartNumber: 1, Body: await photo() })
  const done = await cos.multipartComplete({
    ...at,
    Key,
    UploadId,
    Parts: [{ PartNumber: 1, ETag: part.ETag }],
    Headers: { 'Pic-Operations': rules('/cutouts/1.png') },
  })
  expect(done).toMatchObject({
    UploadResult: {
      OriginalInfo: { Key, ETag: expect.stringMatching(/-1"$/) },
      ProcessResults: { Object: { Key: 'cutouts/1.png' } },
    },
  })
  expect(lab.bill()).toMatchObject([{ method: 'upload', source: Key }])
})

test('a wrong secret, an unknown id and a missing object have their usual errors', async () => {
  const lab = await startLab()
  const head = { ...at, Key: 'none' }
  await expect(client(lab, { SecretKey: 'WRONG' }).getObject(head)).rejects.toMatchObject({
    statusCode: 403,
    code: 'SignatureDoesNotMatch',
  })
  await expect(client(lab, { SecretId: 'NOBODY' }).getObject(head)).rejects.toMatchObject({
    code: 'InvalidAccessKeyId',
  })
  await expect(client(lab).getObject(head)).rejects.toMatchObject({ statusCode: 404, code: 'NoSuchKey' })
})

test('a temporary key works with its token only, in headers and in URLs, until it expires', async () => {
  const lab = await startLab()
  const SecurityToken = 'tok/en+1=='
  lab.keys.set('TEMP', { secret: 'temporary', token: SecurityToken, expires: Date.now() + 60_000 })
  const options = { SecretId: 'TEMP', SecretKey: 'temporary' }
  const cos = client(lab, { ...options, SecurityToken })
  await cos.putObject({ ...at, Key: 'a', Body: 'hello' })
  // The SDK writes the token into the URL as it is, `+` and all.
  const url = cos.getObjectUrl({ ...at, Key: 'a', Sign: true, Protocol: 'http:' })
  expect(url).toContain('x-cos-security-token=tok/en+1==')
  expect(await (await fetch(url)).text()).toBe('hello')
  await expect(client(lab, options).getObject({ ...at, Key: 'a' })).rejects.toMatchObject({
    code: 'InvalidAccessKeyId',
  })
  lab.keys.set('TEMP', { secret: 'temporary', token: SecurityToken, expires: Date.now() - 1 })
  await expect(cos.getObject({ ...at, Key: 'a' })).rejects.toMatchObject({ code: 'ExpiredToken' })
})
