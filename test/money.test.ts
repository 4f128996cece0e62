import { beforeAll, describe, expect, it } from 'vitest'
import { cutoutKey } from '../lib/cutout.ts'
import { plain } from '../lib/layout.ts'
import { paid } from '../lib/paid.ts'
import { upload } from '../lib/pay/pay.ts'
import { photo } from './helpers/cos.ts'
import { CLAIMS, cutOut, KEY, MINUTE, SECOND, startStill } from './helpers/still.ts'

const card = { center: true, dx: 20, dy: 10 }
let body: Buffer
beforeAll(async () => {
  body = await photo()
})

describe('a photo that changes in a loop', () => {
  it('is one with ten other versions within the last minute, and not a moment longer', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const versions = Array.from({ length: 10 }, (_, i) => ({ key: KEY, etag: `${i}`.repeat(32) }))
    for (const version of versions.slice(0, 9)) {
      await cos.bucket.put(`${CLAIMS}${cutoutKey('cutouts/', version, plain)}/0`, '{}', { type: 'application/json' })
    }
    // Nine, each of them twice.
    for (const version of versions.slice(0, 9)) {
      await cos.bucket.put(`${CLAIMS}${cutoutKey('cutouts/', version, card)}/0`, '{}', { type: 'application/json' })
    }
    expect(await cutOut(cos.parts(), source)).toBe('made')
    const [, , , , , , , , , tenth = source] = versions
    await cos.bucket.put(`${CLAIMS}${cutoutKey('cutouts/', tenth, plain)}/0`, '{}', { type: 'application/json' })
    expect(await cutOut(cos.parts(), source, [card])).toBe('changing-too-fast')
    cos.advance(MINUTE - SECOND)
    expect(await cutOut(cos.parts(), source, [card])).toBe('changing-too-fast')
    cos.advance(SECOND)
    expect(await cutOut(cos.parts(), source, [card])).toBe('made')
    expect(cos.bill()).toHaveLength(2)
  })
})

describe('a call for several cutouts', () => {
  it('is good for half of CLAIM_TIME from the oldest of its claims, and not from the newest', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const newest = `${CLAIMS}${cutoutKey('cutouts/', source, card)}/0`
    cos.faults.set([{ on: 'PutObject', prefix: newest, kind: 'hold', times: 1 }])
    const making = cutOut(cos.parts(), source, [plain, card])
    await cos.held()
    await expect.poll(() => cos.asked('PutObject', CLAIMS)).toBe(1)
    cos.advance(4 * SECOND)
    cos.faults.release()
    // Refused for its signature, so nothing was done, and whoever comes next need not wait.
    expect(await making).toBe('unavailable')
    expect(cos.requests().find(({ operation }) => operation === 'ImageProcess')).toMatchObject({ status: 403 })
    expect(cos.bill()).toEqual([])
    expect(await cutOut(cos.parts(), source, [plain, card])).toBe('made,made')
  })

  it('that was refused is held against none of them: nobody knows which one it was', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    cos.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'InvalidArgument', times: 1 }])
    expect(await cutOut(cos.parts(), source, [plain, card])).toBe('refused')
    expect(await cos.under('.matting/failed/')).toEqual([])
    // Who asks within the claims' time is told the same, then each will tell for itself.
    expect(await cutOut(cos.parts(), source)).toBe('refused')
    cos.advance(8 * SECOND)
    expect(await cutOut(cos.parts(), source)).toBe('made')
    expect(await cutOut(cos.parts(), source, [card])).toBe('made')
  })
})

describe('a refusal of the account', () => {
  it('is told to all who ask within the claim’s time, and not asked for anew by each of them', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    cos.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied', times: 1 }])
    for (let i = 0; i < 3; i++) expect(await cutOut(cos.parts(), source)).toBe('denied')
    cos.advance(7 * SECOND)
    expect(await cutOut(cos.parts(), source)).toBe('denied')
    expect(await cos.under(CLAIMS)).toHaveLength(1)
    expect(cos.asked('ImageProcess')).toBe(1)
    cos.advance(SECOND)
    expect(await cutOut(cos.parts(), source)).toBe('made')
  })
})

describe('an ETag of the photo that Cloud Infinite tells', () => {
  // As in its sample of persistent processing (product/460/18147), where HEAD has an MD5.
  const sha1 = '580cd6930444576523c25f86ce2af9b1fc2d5484'

  it('in another form than HEAD’s is no sign of another photo: what was paid is kept, and not paid again and again', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    const told = { ...parts.cos, [paid]: { ...parts.cos[paid], process: saying(parts.cos[paid].process) } }
    for (const by of ['made', 'hit']) expect(await cutOut({ ...parts, cos: told, store: told }, source)).toBe(by)
    expect(cos.bill()).toHaveLength(1)
    const putting = { ...parts.cos, [paid]: { ...parts.cos[paid], upload: saying(parts.cos[paid].upload) } }
    const photo = { body, type: 'image/jpeg' }
    expect(await upload({ ...parts, cos: putting }, 'uploads/b.jpg', photo, [plain])).toMatchObject({ paid: 1 })
    expect(await cos.under('cutouts/')).toHaveLength(2)
  })

  function saying<T extends unknown[]>(pay: (...args: T) => Promise<string | undefined>) {
    return async (...args: T) => {
      await pay(...args)
      return sha1
    }
  }
})
