import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../lib/config.ts'
import type { Cos } from '../lib/cos.ts'
import { cutoutKey } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import { paid } from '../lib/paid.ts'
import { ensure, type Source } from '../lib/pay/pay.ts'
import type { Fault } from '../local/faults.ts'
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
  type TestCloud,
} from './helpers/cloud.ts'

/** `ensure` itself, with a client and a clock that can be interfered with. */
function pay(cos: Cos, source: Source, time: number, settings: Record<string, string> = {}, now = Date.now) {
  const config = readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou', ...settings })
  const parts = {
    config,
    cos,
    store: cos,
    deadline: now() + time,
    now,
    random: Math.random,
    uuid: randomUUID,
    spent: { ms: new Map(), calls: 0 },
  }
  return ensure(parts, 'url', source, [plain])
}

describe('what became of a call without an answer is found out by looking', () => {
  const claims = '.matting/claims/'
  const receipts = '.matting/receipts/'
  const table: [fault: Fault, billed: number, claims: number][] = [
    [{ on: 'GoodsMatting', kind: 'lose-answer' }, 1, 1],
    [{ on: 'GoodsMatting', kind: 'kill' }, 1, 1],
    // Nothing was done, but nobody can know: the next attempt waits for the claim's time.
    [{ on: 'GoodsMatting', kind: 'reset' }, 1, 2],
    [{ on: 'GoodsMatting', kind: 'error' }, 1, 2],
    [{ on: 'GoodsMatting', kind: 'error-in-200' }, 1, 2],
    [{ on: 'GoodsMatting', kind: 'drop-result' }, 2, 2],
    [{ on: 'PutObject', prefix: claims, kind: 'kill' }, 1, 2],
    [{ on: 'PutObject', prefix: receipts, kind: 'kill' }, 1, 2],
    [{ on: 'PutObject', prefix: claims, kind: 'lose-answer' }, 1, 1],
    [{ on: 'PutObject', prefix: receipts, kind: 'lose-answer' }, 1, 1],
    [{ on: 'PutObject', prefix: claims, kind: 'error' }, 1, 1],
    // Known to have done nothing: free at once.
    [{ on: 'GoodsMatting', kind: 'slow-down' }, 1, 1],
  ]
  it.each(table)('%o: billed %i, claimed %i', async (fault, billed, claimed) => {
    const cloud = await startForTest({ instances: 2 })
    cloud.faults.set([{ ...fault, times: 1 }])
    const done = cloud.upload('uploads/mug.jpg', await photo())
    if (claimed === 2) {
      await expect.poll(() => cloud.faults.list()).toMatchObject([{ struck: 1 }])
      // Whoever looks meanwhile waits.
      cloud.clock.advance(7_000)
      await looks(cloud)
      cloud.clock.advance(1_000)
    }
    await done
    expect(cloud.faults.list()).toMatchObject([{ struck: 1 }])
    expect(await cloud.keys('cutouts/')).toHaveLength(1)
    expect(cloud.cos.bill()).toHaveLength(billed)
    // No attempt is left out: somebody else could claim it.
    const attempts = (await claimsOf(cloud)).map((key) => key.split('/').at(-1))
    expect(attempts).toEqual(['0', '1'].slice(0, claimed))
    expect(cloud.scf.deadLetters()).toEqual([])
    // Nobody pays before the time of the claim has passed.
    if (claimed === 2) {
      const [first, second] = await written(cloud)
      expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(8_000)
    }
    const sum = (await receiptsOf(cloud)).reduce((sum, { billed }) => sum + billed.length, 0)
    expect(sum).toBe(billed)
  })

  async function written(cloud: TestCloud): Promise<number[]> {
    const times: number[] = []
    // In whole seconds, as HTTP's dates are, by which claims are judged.
    for await (const { written } of cloud.bucket.list('.matting/claims/')) times.push(Math.floor(written / 1000) * 1000)
    return times.sort((a, b) => a - b)
  }

  it('a CI that is slower than anybody waits is not paid again: the cutout is found when it comes', async () => {
    const cloud = await startForTest({ timeout: 60, environment: { CLAIM_TIME: '300' } })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([
      { on: 'PutObject', prefix: receipts, kind: 'hold', times: 1 },
      { on: 'GoodsMatting', kind: 'hold', times: 1 },
    ])
    const began = cloud.clock.now()
    const asked = ask(cloud, 4)
    await held(cloud)
    const heads = () => cloud.cos.requests().filter(({ operation }) => operation === 'HeadObject')
    await expect.poll(heads).toHaveLength(4)
    // Six seconds are left, for whoever pays as for those who wait, however long they took to come so far.
    cloud.clock.advance(Math.max(0, began + 54_000 - cloud.clock.now()))
    cloud.faults.release()
    for (const answer of await asked) expect([answer.status, codeOf(answer)]).toEqual([503, 'pending'])
    expect([cloud.faults.held(), cloud.cos.bill()]).toEqual([['uploads/mug.jpg'], []])
    cloud.faults.release()
    await expect.poll(async () => (await cloud.image('/plain/uploads/mug.jpg')).status).toBe(302)
    expect(cloud.cos.bill()).toHaveLength(1)
    expect(await claimsOf(cloud)).toHaveLength(1)
  })

  it('waits no longer than there is time, and then asks for a retry', async () => {
    const cloud = await startForTest({ timeout: 5, environment: { CLAIM_TIME: '30' } })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    const [answer] = await ask(cloud, 1)
    expect(answer?.status).toBe(504)
    expect(answer && codeOf(answer)).toBe('timeout')
    // So little time that a call could not be seen through: nobody claims, so nobody is kept from it.
    expect(await claimsOf(cloud)).toEqual([])
    expect(cloud.cos.bill()).toEqual([])
  })

  it('a photo that is no image is refused once; who waits learns it without another call', async () => {
    const cloud = await startForTest()
    await putQuietly(cloud, 'uploads/mug.jpg', Buffer.from('no image'))
    const answers = await ask(cloud, 6)
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['not-an-image']))
    expect(cloud.cos.requests().filter(({ operation }) => operation === 'ImageProcess')).toHaveLength(1)
    expect(await receiptsOf(cloud)).toEqual([])
  })
})

describe('the fence', () => {
  it('a call that arrives after its claim’s time is refused, and not billed', async () => {
    const cloud = await startForTest()
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    const rules = [{ fileid: '/cutouts/x.png', rule: 'ci-process=GoodsMatting' }]
    const late = { until: Date.now() - 2_000, deadline: Date.now() + 5_000 }
    await expect(cloud.bucket[paid].process('uploads/mug.jpg', rules, late)).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(cloud.cos.bill()).toEqual([])
    await cloud.bucket[paid].process('uploads/mug.jpg', rules, { ...late, until: Date.now() + 2_000 })
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

it('what somebody else bought between the first look and the claim is not bought again', async () => {
  const cloud = await startForTest()
  const source = await quietSource(cloud)
  const cutout = cutoutKey('cutouts/', source, plain)
  const cos: Cos = {
    ...cloud.bucket,
    async put(key, body, options) {
      // The other one's call ends just now.
      await cloud.bucket.put(cutout, 'a cutout', { type: 'image/png' })
      return cloud.bucket.put(key, body, options)
    },
  }
  expect(await pay(cos, source, 60_000)).toMatchObject([{ layout: 'plain', key: cutout, size: 8, obtained: 'joined' }])
  expect(cloud.cos.bill()).toEqual([])
  expect(await receiptsOf(cloud)).toEqual([])
})

it('a claim that could not be written leaves no hole for two', async () => {
  const cloud = await startForTest()
  await putQuietly(cloud, 'uploads/mug.jpg', await photo())
  const source = { key: 'uploads/mug.jpg', etag: '0123456789abcdef', size: 1 }
  const key = `.matting/claims/${cutoutKey('cutouts/', source, plain)}/0`
  let tries = 0
  const cos: Cos = {
    ...cloud.bucket,
    async put(...args) {
      if (args[0] === key && tries++ === 0) throw new MattingError('unavailable')
      return cloud.bucket.put(...args)
    },
    async get(asked) {
      const found = await cloud.bucket.get(asked)
      // Just after we saw that ours was not written, somebody else's is.
      const theirs = JSON.stringify({ id: 'them', seconds: 60 })
      if (asked === key && !found) await cloud.bucket.put(key, theirs, { type: 'application/json' })
      // Nor is there time to wait for them.
      if (asked === key && found) cloud.clock.advance(55_000)
      return found
    },
  }
  await expect(pay(cos, source, 55_000, {}, cloud.clock.now)).rejects.toMatchObject({ code: 'pending' })
  expect(cloud.cos.bill()).toEqual([])
})

it('a claim is not kept when the look after it fails', async () => {
  const cloud = await startForTest()
  const source = await quietSource(cloud)
  let looks = 0
  const cos: Cos = {
    ...cloud.bucket,
    pieces: async (key) => {
      if (++looks === 2) throw new MattingError('unavailable')
      return cloud.bucket.pieces(key)
    },
  }
  await expect(pay(cos, source, 20_000)).rejects.toMatchObject({ code: 'unavailable' })
  // Not after the claim's minute: at once.
  expect(await pay(cloud.bucket, source, 20_000)).toMatchObject([{ obtained: 'made' }])
  expect(cloud.cos.bill()).toHaveLength(1)
})

it('a photo that is put back while its claim lasts is cut out', async () => {
  const cloud = await startForTest()
  const source = await quietSource(cloud)
  const cos: Cos = {
    ...cloud.bucket,
    [paid]: {
      ...cloud.bucket[paid],
      async process(...args) {
        await cloud.bucket.delete(source.key)
        return cloud.bucket[paid].process(...args)
      },
    },
  }
  await expect(pay(cos, source, 20_000)).rejects.toMatchObject({ code: 'changed', retryable: true })
  await putQuietly(cloud, source.key, await photo())
  expect(await pay(cloud.bucket, source, 20_000)).toMatchObject([{ obtained: 'made' }])
  expect(cloud.cos.bill()).toHaveLength(1)
})

describe('an instance that is frozen between claim and payment', () => {
  it('cannot pay after somebody else took over, even if its clock was frozen too', async () => {
    const cloud = await startForTest()
    const source = await quietSource(cloud)
    const standing = cloud.clock.now()
    let thaw = () => {}
    const thawed = new Promise<void>((resolve) => {
      thaw = resolve
    })
    let looks = 0
    const frozen: Cos = {
      ...cloud.bucket,
      async pieces(key) {
        if (++looks === 2) await thawed
        const found = await cloud.bucket.pieces(key)
        // The other one's cutout comes a moment later.
        return looks === 2 ? undefined : found
      },
    }
    const settings = { CLAIM_TIME: '6' }
    const first = pay(frozen, source, 20_000, settings, () => standing).catch((error: unknown) => Object(error).code)
    await expect.poll(() => looks).toBe(2)
    lapse(cloud)
    expect(await pay(cloud.bucket, source, 20_000, settings, cloud.clock.now)).toMatchObject([{ obtained: 'made' }])
    thaw()
    await first
    expect(cloud.cos.bill()).toHaveLength(1)
    const paid = cloud.cos.requests().filter(({ operation }) => operation === 'ImageProcess')
    expect(paid.map(({ status }) => status).sort()).toEqual([200, 403])
  })

  it('cannot pay any more once its claim’s time is over', async () => {
    const cloud = await startForTest({ instances: 2, environment: { CLAIM_TIME: '6' } })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    // While it writes its receipt the claim runs out, and another instance pays.
    cloud.faults.set([{ on: 'PutObject', prefix: '.matting/receipts/', kind: 'hold', times: 1 }])
    const asked = ask(cloud, 2)
    await held(cloud)
    lapse(cloud)
    await expect.poll(() => cloud.cos.bill()).toHaveLength(1)
    cloud.faults.release()
    await asked
    const paid = cloud.cos.requests().filter(({ operation }) => operation === 'ImageProcess')
    expect(paid.map(({ status }) => status).sort()).toEqual([200, 403])
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('claims', () => {
  it('say who, for whom, when and until when', async () => {
    const cloud = await startForTest()
    await cloud.upload('uploads/a.jpg', await photo())
    const [key = ''] = await claimsOf(cloud)
    const claim = JSON.parse((await cloud.bucket.get(key))?.body ?? '{}')
    expect(claim).toMatchObject({ id: expect.any(String), asker: 'trigger', layout: 'plain', seconds: 6 })
    expect(Date.parse(claim.until) - Date.parse(claim.at)).toBe(6_000)
  })
})
