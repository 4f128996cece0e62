import { describe, expect, it } from 'vitest'
import {
  ask,
  claimsOf,
  codeOf,
  held,
  lapse,
  looks,
  photo,
  putQuietly,
  quietSource,
  receiptsOf,
  startForTest,
} from './helpers/cloud.ts'

describe('promise 1: one cutout is paid for once', () => {
  it('by a thousand requests at the same moment', async () => {
    const cloud = await startForTest({ instances: 8, environment: { REDIRECT_TTL: '300' } })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    // In four waves a moment apart, so that it is not the kernel's queue of connections that is tested.
    const waves = [0, 1, 2, 3].map(async (i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 60))
      return ask(cloud, 250)
    })
    const answers = (await Promise.all(waves)).flat()
    expect(cloud.cos.bill()).toHaveLength(1)
    expect(new Set(cloud.scf.invocations().map(({ instance }) => instance)).size).toBe(8)
    for (const { status, headers } of answers) {
      expect(status === 302 || (status === 503 && headers['retry-after'] !== undefined)).toBe(true)
    }
    expect(answers.filter(({ status }) => status === 302).length).toBeGreaterThan(900)
  })

  it('by duplicate events and requests together, for all layouts in one call', async () => {
    const cloud = await startForTest({
      environment: { PRESETS: 'plain=; card=center-layout=1', ON_UPLOAD: 'uploads/=plain,card' },
    })
    cloud.faults.set([{ on: 'Event', kind: 'duplicate' }])
    const answers = Promise.all([ask(cloud, 5), ask(cloud, 5, '/card/uploads/mug.jpg')])
    await cloud.upload('uploads/mug.jpg', await photo())
    await answers
    const rules = cloud.cos.bill().map(({ rule }) => rule)
    expect(rules.sort()).toEqual(['ci-process=GoodsMatting', 'ci-process=GoodsMatting&center-layout=1'])
  })

  it('buys five layouts with one request, and seven with two', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const presets = names.map((name, i) => `${name}=padding-layout=${i + 1}x0`).join(';')
    const cloud = await startForTest({ environment: { PRESETS: presets, ON_UPLOAD: `uploads/=${names}` } })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.cos.bill()).toHaveLength(7)
    expect(cloud.cos.requests().filter(({ operation }) => operation === 'ImageProcess')).toHaveLength(2)
    expect(await cloud.keys('cutouts/')).toHaveLength(7)
  })
})

describe('clocks', () => {
  it.each([600_000, -600_000, 1_800_000, -1_800_000])('an instance %i ms off works, and pays once', async (ms) => {
    const cloud = await startForTest({ instances: 4 })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'Instance', kind: 'skew', ms, rate: 0.5 }])
    const statuses = (await ask(cloud, 8)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([302]))
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('a forbid-overwrite that lets several through', () => {
  it('within milliseconds: still pays once', async () => {
    const cloud = await startForTest({ instances: 8 })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'PutObject', prefix: '.matting/claims/', kind: 'race', ms: 20 }])
    expect(new Set((await ask(cloud, 16)).map(({ status }) => status))).toEqual(new Set([302]))
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('always, as with versioning: pays at most once for each instance', async () => {
    const cloud = await startForTest({ instances: 8 })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'PutObject', prefix: '.matting/claims/', kind: 'race', ms: 3_600_000 }])
    await ask(cloud, 16)
    expect(cloud.cos.bill().length).toBeLessThanOrEqual(8)
  })
})

describe('receipts', () => {
  it('say who asked for what, and add up to the bill', async () => {
    const cloud = await startForTest()
    await cloud.upload('uploads/a.jpg', await photo())
    await cloud.image('/card/uploads/a.jpg')
    await cloud.upload('uploads/b.jpg', await photo('#2040b0'))
    const receipts = await receiptsOf(cloud)
    const told = receipts.map(({ receipt, billed }) => [receipt.source, receipt.asker, receipt.outcome, billed.length])
    expect(told.sort()).toEqual([
      ['uploads/a.jpg', 'trigger', 'bought', 1],
      ['uploads/a.jpg', 'url', 'bought', 1],
      ['uploads/b.jpg', 'trigger', 'bought', 1],
    ])
    const fileids = cloud.cos.bill().map(({ fileid }) => fileid)
    expect(receipts.flatMap(({ receipt }) => receipt.cutouts).sort()).toEqual(fileids.sort())
    const first = receipts.find(({ receipt }) => receipt.source === 'uploads/a.jpg')
    expect(first?.receipt).toMatchObject({
      etag: (await cloud.bucket.head('uploads/a.jpg'))?.etag,
      ms: expect.any(Number),
    })
  })
})

describe('DAILY_LIMIT', () => {
  it('stops paying: 429 until midnight for a URL, a dead letter for an event; what is there is still served', async () => {
    const cloud = await startForTest({ environment: { DAILY_LIMIT: '2' } })
    await cloud.upload('uploads/a.jpg', await photo())
    await cloud.image('/card/uploads/a.jpg')
    const refused = await cloud.image('/center-layout=1/uploads/a.jpg')
    const { headers } = refused
    expect([refused.status, codeOf(refused)]).toEqual([429, 'limit-reached'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(86_400)
    await cloud.upload('uploads/b.jpg', await photo('#2040b0'))
    expect(cloud.scf.deadLetters()).toHaveLength(1)
    expect(cloud.scf.invocations().at(-1)?.logs.join()).toContain('"outcome":"deferred","code":"limit-reached"')
    expect((await cloud.image('/plain/uploads/a.jpg')).status).toBe(302)
    expect(cloud.cos.bill()).toHaveLength(2)
    expect(await claimsOf(cloud)).toHaveLength(2)
  })

  it('is overshot by at most the instances that run at the same moment', async () => {
    const cloud = await startForTest({ instances: 4, environment: { DAILY_LIMIT: '3' } })
    for (let i = 0; i < 12; i++) await putQuietly(cloud, `uploads/${i}.jpg`, await photo(`hsl(${i * 30} 70% 40%)`))
    await Promise.all(Array.from({ length: 12 }, (_, i) => cloud.image(`/plain/uploads/${i}.jpg`)))
    expect(cloud.cos.bill().length).toBeGreaterThanOrEqual(3)
    expect(cloud.cos.bill().length).toBeLessThanOrEqual(3 + 4)
  })

  it('counts what one request buys again and again, but nothing that is being made already', async () => {
    const cloud = await startForTest({ timeout: 60, environment: { DAILY_LIMIT: '1' } })
    const source = await quietSource(cloud)
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold', times: 1 }])
    const both = [cloud.image(`/plain/${source.key}`)]
    await held(cloud)
    both.push(cloud.image(`/plain/${source.key}`))
    await looks(cloud)
    cloud.faults.release()
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([302, 302])
    await cloud.reset()
    await putQuietly(cloud, source.key, await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'drop-result' }])
    const again = cloud.image(`/plain/${source.key}`)
    await expect.poll(() => cloud.cos.bill()).toHaveLength(1)
    await looks(cloud)
    lapse(cloud)
    expect(codeOf(await again)).toBe('limit-reached')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('0 pays nothing', async () => {
    const cloud = await startForTest({ environment: { DAILY_LIMIT: '0' } })
    await cloud.upload('uploads/a.jpg', await photo())
    expect(cloud.cos.bill()).toEqual([])
  })
})

describe('the breaker', () => {
  it('opens for a photo that keeps changing, and for no other', async () => {
    const cloud = await startForTest()
    for (let i = 0; i < 12; i++) await cloud.upload('uploads/loop.jpg', await photo(`hsl(${i * 25} 70% 40%)`))
    expect(cloud.cos.bill()).toHaveLength(10)
    expect(codeOf(await cloud.image('/plain/uploads/loop.jpg'))).toBe('changing-too-fast')
    await cloud.upload('uploads/loop.jpg/other.jpg', await photo())
    expect(cloud.cos.bill()).toHaveLength(11)
  })
})
