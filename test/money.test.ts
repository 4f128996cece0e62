import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Cos } from '../lib/cos.ts'
import { cutoutKey } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import type { Paid, PaidTime } from '../lib/paid.ts'
import type { Source } from '../lib/pay/pay.ts'
import { photo } from './helpers/cos.ts'
import { CLAIMS, card, claimOf, cutOut, MINUTE, RECEIPTS, SECOND, seven, startStill, through } from './helpers/still.ts'

let body: Buffer
let other: Buffer
beforeAll(async () => {
  body = await photo()
  other = await photo(80, 60)
})

describe('a call for several cutouts', () => {
  it('is good for half of CLAIM_TIME from the oldest of its claims, and not from the newest', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    cos.faults.set([{ on: 'PutObject', prefix: claimOf(source, card), kind: 'hold', times: 1 }])
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

  it('that failed after some of it was done is paid, for all that anybody knows: claims and receipt stay', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    const process = async () => {
      await cos.bucket.put(cutoutKey('cutouts/', source, plain), 'a cutout', { type: 'image/png' })
      throw new MattingError('denied')
    }
    expect(await cutOut(through(parts, {}, { process }), source, [plain, card], false)).toBe('pending')
    expect(parts.spent.calls).toBe(2)
    expect(await cos.under(RECEIPTS)).toHaveLength(1)
    expect(await cutOut(cos.parts(), source, [card], false)).toBe('pending')
  })

  it('ends with half of CLAIM_TIME, and is waited for while there is time to look, or to store a picture elsewhere', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const times: PaidTime[] = []
    const refused = async (_where: unknown, _what: unknown, time: PaidTime) => {
      times.push(time)
      throw new MattingError('refused')
    }
    const parts = cos.parts({ CLAIM_TIME: '60' })
    const elsewhere = { ...source, key: 'http://pictures.example/a.jpg', url: 'http://pictures.example/a.jpg' }
    for (const one of [source, elsewhere]) await cutOut(through(parts, {}, { process: refused, detect: refused }), one)
    const [until, end] = [cos.now() + 30 * SECOND, cos.now() + 20 * SECOND]
    expect(times).toEqual([
      { until, deadline: end - SECOND },
      { until, deadline: end - 4 * SECOND },
    ])
  })

  it('is for five at most, and another one buys the rest', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    expect(await cutOut(parts, source, seven)).toBe(Array(7).fill('made').join())
    expect([cos.bill().length, cos.asked('ImageProcess'), parts.spent.calls]).toEqual([7, 2, 7])
  })

  it('is not followed by another one where there was no product', async () => {
    const cos = await startStill()
    const wall = sharp({ create: { width: 40, height: 30, channels: 3, background: '#eee' } })
    expect(await cutOut(cos.parts(), await cos.source(await wall.jpeg().toBuffer()), seven)).toBe('no-product')
    expect(cos.bill()).toHaveLength(5)
  })
})

describe('a receipt', () => {
  it('that cannot be completed after the call leaves what was paid for', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    const put: Cos['put'] = async (key, text, options) => {
      if (String(text).includes('"bought"')) throw new MattingError('denied')
      return parts.cos.put(key, text, options)
    }
    expect(await cutOut(through(parts, { put }), source)).toBe('made')
    const [key = ''] = await cos.under(RECEIPTS)
    expect(await cos.json(key)).toMatchObject({ outcome: 'sent', at: '2026-01-09T12:00:00.000Z' })
  })
})

it('what somebody else has paid for stays, though the photo is another one by now', async () => {
  const cos = await startStill()
  const source = await cos.source(body)
  const parts = cos.parts()
  const theirs = cutoutKey('cutouts/', source, plain)
  const put: Cos['put'] = async (key, text, options) => {
    await cos.bucket.put(theirs, 'a cutout', { type: 'image/png' })
    await cos.source(other)
    return parts.cos.put(key, text, options)
  }
  expect(await cutOut(through(parts, { put }), source)).toBe('changed')
  expect(await cos.under('cutouts/')).toEqual([theirs])
  expect([cos.bill().length, parts.spent.calls]).toEqual([0, 0])
})

describe('several cutouts of a picture elsewhere', () => {
  const picture: Source = {
    key: 'http://pictures.example/a.jpg',
    etag: '0'.repeat(32),
    size: 9,
    url: 'http://a.example/',
  }

  it('are fetched once each, though one of them was "later"', async () => {
    const cos = await startStill()
    const parts = cos.parts()
    const asked: string[] = []
    const detect: Paid['detect'] = async (_url, { dx }) => {
      asked.push(`${dx}`)
      if (asked.length === 2) throw new MattingError('busy')
      return body
    }
    expect(await cutOut(through(parts, {}, { detect }), picture, [plain, card])).toBe('made,made')
    expect([asked, parts.spent.calls]).toEqual([['0', '20', '20'], 2])
  })

  it('of which one is too large: it is noted for these layouts alone, told to who waits, and not paid again', async () => {
    const cos = await startStill()
    const parts = cos.parts()
    const detect: Paid['detect'] = async () => undefined
    expect(await cutOut(through(parts, {}, { detect }), picture, [card])).toBe('too-large')
    expect((await cos.under('.matting/failed/')).map((key) => key.replace(/.*\/[^-]*/, ''))).toEqual([
      '-c1-p20x10.too-large.json',
    ])
    expect(parts.spent.calls).toBe(1)
    expect(await cos.json(claimOf(picture, card))).toMatchObject({ failure: 'too-large' })
    cos.advance(MINUTE)
    const later = through(cos.parts(), {}, { detect: async () => body })
    expect(await cutOut(later, picture, [card])).toBe('too-large')
    expect(await cutOut(later, picture, [plain])).toBe('made')
  })
})
