import { expect, it } from 'vitest'
import { claimsOf, held, looks, photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'

const KEY = 'uploads/mug.jpg'
const SECOND = 1_000
const MINUTE = 60 * SECOND

/** Somebody asks, and the paid call never arrives; meanwhile the same photo is put again. */
async function askInVain(cloud: TestCloud) {
  const a = await photo()
  await putQuietly(cloud, KEY, a)
  cloud.faults.set([
    { on: 'Event', kind: 'drop' },
    { on: 'GoodsMatting', kind: 'reset', times: 1 },
  ])
  const asked = cloud.image(`/plain/${KEY}`)
  await expect.poll(() => cloud.faults.list().at(-1)?.struck).toBe(1)
  cloud.clock.advance(2 * SECOND)
  await cloud.bucket.put(KEY, a, { type: 'image/jpeg' })
  return { asked }
}

it('a photo that a forced reload did not find is not shown from memory to the next who asks', async () => {
  const cloud = await startForTest({ instances: 1, environment: { REDIRECT_TTL: '300' } })
  await cloud.upload(KEY, await photo())
  expect((await cloud.image(`/plain/${KEY}`)).status).toBe(302)
  await cloud.bucket.delete(KEY)
  expect((await cloud.image(`/plain/${KEY}`)).status).toBe(302)
  const headers = { 'cache-control': 'no-cache' }
  expect((await cloud.image(`/plain/${KEY}`, { headers })).status).toBe(404)
  expect((await cloud.image(`/plain/${KEY}`)).status).toBe(404)
})

it('a lost attempt casts no doubt on the next one, which was answered', async () => {
  const cloud = await startForTest()
  const { asked } = await askInVain(cloud)
  cloud.clock.advance(8 * SECOND)
  expect((await asked).headers['x-matting']).toBe('made')
  expect(await cloud.keys('cutouts/')).toHaveLength(1)
  expect(cloud.cos.bill()).toHaveLength(1)
})

it('nor on what somebody else made after its time', async () => {
  const cloud = await startForTest()
  const { asked } = await askInVain(cloud)
  const [claim = ''] = await claimsOf(cloud)
  const next = claim.replace(/0$/, '1')
  await cloud.bucket.put(next, '{"id":"another","seconds":600}', { type: 'application/json' })
  const looks = () => cloud.cos.requests().filter(({ path }) => path === `/${next}`).length
  const before = looks()
  cloud.clock.advance(10 * SECOND)
  // It has seen that somebody else is at it.
  await expect.poll(looks).toBeGreaterThan(before)
  const cutout = claim.replace(/^\.matting\/claims\/|\/0$/g, '')
  await cloud.bucket.put(cutout, await photo(), { type: 'image/png' })
  expect((await asked).headers['x-matting']).toBe('joined')
  expect(await cloud.keys('cutouts/')).toEqual([cutout])
  expect(cloud.cos.bill()).toEqual([])
})

it('whoever waits for A does not note what was cut from B against it', async () => {
  const cloud = await startForTest()
  const a = await photo()
  await putQuietly(cloud, KEY, a)
  cloud.clock.advance(MINUTE)
  cloud.faults.set([
    { on: 'Event', kind: 'drop' },
    { on: 'PutObject', prefix: '.matting/receipts/', kind: 'hold' },
    { on: 'ImageProcess', kind: 'hold', times: 1 },
    { on: 'Cut', kind: 'hold', times: 1 },
  ])
  const goOn = async () => {
    await held(cloud)
    cloud.faults.release()
  }
  const asked = cloud.image(`/plain/${KEY}`)
  await goOn()
  await held(cloud)
  // A photo without a product.
  await cloud.bucket.put(KEY, await photo('#e4e4e6'), { type: 'image/jpeg' })
  cloud.faults.release()
  await held(cloud)
  await cloud.bucket.put(KEY, a, { type: 'image/jpeg' })
  const waiting = cloud.image(`/plain/${KEY}`)
  await looks(cloud)
  await goOn()
  // The payer has its answer, and has not looked yet; who waits sees the cutout.
  expect((await waiting).status).toBe(422)
  cloud.faults.set([])
  expect(JSON.parse((await asked).body).code).toBe('changed')
  cloud.clock.advance(10 * MINUTE)
  expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('made')
})

it('what was cut from A, as the vendor tells, stays for when A comes back', async () => {
  const cloud = await startForTest()
  const a = await photo()
  await putQuietly(cloud, KEY, a)
  cloud.faults.set([
    { on: 'Event', kind: 'drop' },
    { on: 'Cut', kind: 'hold', times: 1 },
  ])
  const asked = cloud.image(`/plain/${KEY}`)
  await held(cloud)
  await cloud.bucket.put(KEY, await photo('#2040b0'), { type: 'image/jpeg' })
  cloud.faults.release()
  expect(JSON.parse((await asked).body).code).toBe('changed')
  await cloud.bucket.put(KEY, a, { type: 'image/jpeg' })
  expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('hit')
  expect(cloud.cos.bill()).toHaveLength(1)
})

it('but not where photo and cutouts go together', async () => {
  const cloud = await startForTest({ environment: { ON_DELETE: 'remove' } })
  await putQuietly(cloud, KEY, await photo())
  cloud.faults.set([{ on: 'Cut', kind: 'hold', times: 1 }])
  const asked = cloud.image(`/plain/${KEY}`)
  await held(cloud)
  await cloud.bucket.delete(KEY)
  await cloud.scf.idle()
  cloud.faults.release()
  expect(JSON.parse((await asked).body).code).toBe('changed')
  expect(await cloud.keys('cutouts/')).toEqual([])
})
