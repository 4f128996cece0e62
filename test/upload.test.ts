import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { look, photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud.close())
beforeEach(() => cloud.reset())

const etagOf = async (key: string) => (await cloud.bucket.head(key))?.etag.slice(0, 16)

describe('a photo put into a source folder', () => {
  it('promise 1: gets its cutout, one paid call for each layout', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const key = `cutouts/uploads/mug.jpg/${await etagOf('uploads/mug.jpg')}-plain.png`
    expect(await cloud.keys('cutouts/')).toEqual([key])
    expect(cloud.cos.bill()).toMatchObject([
      { method: 'cloud', source: 'uploads/mug.jpg', rule: 'ci-process=GoodsMatting', fileid: key, outcome: 'stored' },
    ])
    expect(await look(await cloud.bytes(key))).toEqual({ format: 'png', width: 240, height: 200, alpha: [0, 255] })
  })

  it('is not paid again when the same event comes again', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations()).toHaveLength(2)
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('gets a new cutout when it changes, and keeps the old one', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.upload('uploads/mug.jpg', await photo('#2040b0'))
    expect(cloud.cos.bill()).toHaveLength(2)
    expect(await cloud.keys('cutouts/')).toHaveLength(2)
  })

  it.each([
    ['uploads/notes.txt', 'not an image by its name'],
    ['uploads/folder/', 'not an image by its name'],
    ['uploads/x/0123456789abcdef-c1-p20x10.png', 'a cutout'],
  ])('is skipped before anything is asked: %s (%s)', async (key, why) => {
    await cloud.upload(key, await photo())
    const [run] = cloud.scf.invocations()
    expect(JSON.parse(run?.logs[0] ?? '{}')).toMatchObject({ outcome: 'skipped', why })
    expect(cloud.cos.bill()).toEqual([])
    expect(cloud.cos.requests().filter(({ operation }) => operation === 'HeadObject')).toEqual([])
  })

  it('outside a source folder triggers nothing', async () => {
    await cloud.upload('other/mug.jpg', await photo())
    expect(cloud.scf.invocations()).toEqual([])
  })
})

describe('a photo that cannot be cut out', () => {
  it('fails for good when it is no image: logged, acknowledged, not delivered again, not billed', async () => {
    await cloud.upload('uploads/fake.jpg', Buffer.from('not an image'))
    const runs = cloud.scf.invocations()
    expect(runs.map(({ outcome }) => outcome)).toEqual(['ok'])
    expect(JSON.parse(runs[0]?.logs[0] ?? '{}')).toMatchObject({
      outcome: 'failed',
      code: 'not-an-image',
      key: 'uploads/fake.jpg',
    })
    expect(cloud.cos.bill()).toEqual([])
    expect(cloud.scf.deadLetters()).toEqual([])
  })

  it('without a product is billed all the same, and its cutout is transparent', async () => {
    const blank = await photo('#e4e4e6')
    await cloud.upload('uploads/blank.jpg', blank)
    expect(cloud.cos.bill()).toMatchObject([{ blank: true }])
    const [key = ''] = await cloud.keys('cutouts/')
    expect((await look(await cloud.bytes(key))).alpha).toEqual([0, 0])
  })
})

describe('trouble', () => {
  it('a lost answer is not a failure: the cutout is there, and is not paid again', async () => {
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'lose-answer', times: 1 }])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['ok'])
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('that lasts ends as a dead letter after two retries, and costs nothing', async () => {
    const cloud = await startTestCloud({ timeout: 9 })
    onTestFinished(() => cloud.close())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error' }])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['error', 'error', 'error'])
    expect(cloud.scf.deadLetters()).toMatchObject([{ function: 'upload', event: { Records: [{ cos: {} }] } }])
    expect(cloud.cos.bill()).toEqual([])
  })

  it.each(['error', 'reset', 'slow-down'] as const)('of free calls (%s) is mended on the spot', async (kind) => {
    cloud.faults.set([{ on: 'HeadObject', kind, times: 2 }])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['ok'])
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('promise 5', () => {
  it('no log line holds a signature, a token, a secret or an Authorization', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.upload('uploads/fake.jpg', Buffer.from('not an image'))
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'slow-down', times: 9 }])
    await cloud.upload('uploads/other.jpg', await photo('#2040b0'))
    const logs = cloud.scf.invocations().flatMap((run) => run.logs)
    expect(logs.length).toBeGreaterThanOrEqual(3)
    expect(logs.join('\n')).not.toMatch(/q-sign|q-ak|signature|authorization|token|secret|local-role/i)
  })
})
