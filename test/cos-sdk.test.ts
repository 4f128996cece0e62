import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import COS from 'cos-nodejs-sdk-v5'
import { expect, onTestFinished, test } from 'vitest'
import { BUCKET, ID, type Lab, photo, REGION, SECRET, startLab } from './helpers/cos.ts'

const at = { Bucket: BUCKET, Region: REGION }

/** The vendor's own client, as it is installed. */
function client({ port }: Lab, options: COS.COSOptions = {}): COS {
  return new COS({ SecretId: ID, SecretKey: SECRET, Domain: `127.0.0.1:${port}`, Protocol: 'http:', ...options })
}

test('an object put is headed, got, copied, listed and deleted', async () => {
  const cos = client(await startLab())
  const Key = 'uploads/shoe 01(红)+%#?&.jpg'
  const put = await cos.putObject({ ...at, Key, Body: Buffer.from('hello'), ContentType: 'image/jpeg', 'x-cos-meta-note': 'a b' })
  expect(put.ETag).toBe('"5d41402abc4b2a76b9719d911017c592"')
  const head = await cos.headObject({ ...at, Key })
  expect(head.headers).toMatchObject({ 'content-type': 'image/jpeg', 'content-length': '5', 'x-cos-meta-note': 'a b' })
  const got = await cos.getObject({ ...at, Key })
  expect(got.Body.toString()).toBe('hello')
  const CopySource = `${BUCKET}.cos.${REGION}.myqcloud.com/${encodeURIComponent(Key).replaceAll('%2F', '/')}`
  const copied = await cos.putObjectCopy({ ...at, Key: 'copy', CopySource })
  expect(copied.ETag).toBe(put.ETag)
  const listed = await cos.getBucket({ ...at, Prefix: '' })
  expect(listed.Contents.map((entry) => entry.Key)).toEqual(['copy', Key])
  await cos.deleteObject({ ...at, Key })
  await expect(cos.headObject({ ...at, Key })).rejects.toMatchObject({ statusCode: 404 })
})
