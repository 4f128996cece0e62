import { expect, it } from 'vitest'
import { plain } from '../lib/layout.ts'
import { putPhoto } from '../lib/pay/pay.ts'
import type { Fault } from '../local/faults.ts'
import { claimsOf, held, photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'
import { partsOf } from './helpers/uploads.ts'

const KEY = 'uploads/mug.jpg'
const SECOND = 1_000
const type = 'image/jpeg'
const dropped: Fault = { on: 'Event', kind: 'drop' }

function start(cloud: TestCloud, body: Buffer) {
  return putPhoto(partsOf(cloud), KEY, { body, type }, [plain])
}

it('a photo whose upload got no answer is not put over a newer one, though that lay there before, too', async () => {
  const cloud = await startForTest()
  const [older, newer] = await Promise.all([photo(), photo('#2040b0')])
  await putQuietly(cloud, KEY, newer)
  cloud.clock.advance(2 * SECOND)
  cloud.faults.set([
    dropped,
    { on: 'HeadObject', prefix: KEY, kind: 'hold', times: 2 },
    { on: 'GoodsMatting', kind: 'lose-answer', times: 1 },
  ])
  const uploading = start(cloud, older)
  await held(cloud)
  cloud.faults.release()
  // It is stored, and is about to look what became of it.
  await held(cloud)
  await cloud.bucket.put(KEY, newer, { type })
  cloud.faults.release()
  await uploading
  expect(await cloud.bytes(KEY)).toEqual(newer)
})

it('nor is one that CI refused when it was stored', async () => {
  const cloud = await startForTest()
  const [older, newer] = [Buffer.from('no image'), await photo('#2040b0')]
  cloud.faults.set([dropped, { on: 'PutObject', prefix: '.matting/failed/', kind: 'hold' }])
  const uploading = start(cloud, older)
  await held(cloud)
  await cloud.bucket.put(KEY, newer, { type })
  cloud.faults.set([dropped])
  await uploading
  expect(await cloud.bytes(KEY)).toEqual(newer)
})

it('an upload that got no answer, and cannot look what became of it, does not tell that the photo is stored', async () => {
  const cloud = await startForTest()
  const [older, newer] = await Promise.all([photo(), photo('#2040b0')])
  await putQuietly(cloud, KEY, older)
  cloud.faults.set([
    dropped,
    { on: 'HeadObject', prefix: KEY, kind: 'hold', times: 1 },
    { on: 'GoodsMatting', kind: 'reset', times: 1 },
  ])
  const uploading = start(cloud, newer)
  await held(cloud)
  cloud.faults.set([dropped, { on: 'GoodsMatting', kind: 'reset' }, { on: 'HeadObject', prefix: KEY, kind: 'error' }])
  await expect(uploading).rejects.toMatchObject({ code: 'unavailable' })
  cloud.faults.set([dropped])
  await start(cloud, newer)
  expect(await cloud.bytes(KEY)).toEqual(newer)
})

it('a slow upload that could not look whether the photo lies there already is not paid twice', async () => {
  const cloud = await startForTest()
  const body = await photo()
  await putQuietly(cloud, KEY, body)
  cloud.faults.set([
    dropped,
    { on: 'HeadObject', prefix: KEY, kind: 'error', times: 3 },
    { on: 'PutObject', prefix: KEY, kind: 'hold', times: 1 },
  ])
  const uploading = start(cloud, body)
  await held(cloud)
  cloud.clock.advance(12 * SECOND)
  const asked = cloud.image(`/plain/${KEY}`)
  const seen = async () => {
    const [claim = ''] = await claimsOf(cloud)
    return cloud.cos.bill().length > 0 || (await cloud.bucket.get(claim))?.body.includes('"seen"')
  }
  await expect.poll(seen).toBe(true)
  cloud.clock.advance(6 * SECOND)
  await asked
  cloud.faults.release()
  await uploading
  expect(cloud.cos.bill()).toHaveLength(1)
})
