import { beforeAll, describe, expect, it } from 'vitest'
import type { Cos } from '../lib/cos.ts'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import { photo } from './helpers/cos.ts'
import {
  CLAIMS,
  card,
  claimOf,
  cutOut,
  JSON_TYPE,
  KEY,
  RECEIPTS,
  SECOND,
  startStill,
  through,
} from './helpers/still.ts'

let body: Buffer
beforeAll(async () => {
  body = await photo()
})

describe('a refusal', () => {
  it('of the account is told to all who ask within the claim’s time, and not asked for anew by each of them', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    cos.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied', times: 1 }])
    for (let i = 0; i < 3; i++) expect(await cutOut(cos.parts(), source)).toBe('denied')
    expect(await cos.json(claimOf(source))).toMatchObject({ asker: 'url', seconds: 6, failure: 'denied' })
    cos.advance(7 * SECOND)
    expect(await cutOut(cos.parts(), source)).toBe('denied')
    expect(await cos.under(CLAIMS)).toHaveLength(1)
    expect(cos.asked('ImageProcess')).toBe(1)
    cos.advance(SECOND)
    expect(await cutOut(cos.parts(), source)).toBe('made')
  })

  it('of the account that somebody noted by hand is not for good', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    await cos.bucket.put(`.matting/failed/cutouts/${KEY}/${source.etag}.denied.json`, '{}', JSON_TYPE)
    await cos.bucket.put(`.matting/failed/cutouts/${KEY}/${source.etag.slice(0, 16)}.denied.json`, '{}', JSON_TYPE)
    expect(await cutOut(cos.parts(), source)).toBe('made')
  })

  it('of the photo is not asked for again in any layout', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    cos.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'ImageTooLarge', times: 1 }])
    for (const layout of [plain, card]) expect(await cutOut(cos.parts(), source, [layout])).toBe('too-large')
    expect([cos.bill().length, cos.asked('ImageProcess')]).toEqual([0, 1])
  })

  it('is not held against a photo of which nobody can tell whether it lies there still', async () => {
    const cos = await startStill()
    const source = await cos.source(Buffer.from('no image'))
    const head = async () => {
      throw new MattingError('unavailable')
    }
    expect(await cutOut(through(cos.parts(), { head }), source)).toBe('changed')
    expect(await cos.under('.matting/failed/')).toEqual([])
  })

  it('is told, and not counted, also where the claim cannot be released', async () => {
    const cos = await startStill()
    const source = await cos.source(Buffer.from('no image'))
    const parts = cos.parts()
    const put: Cos['put'] = async (key, text, options) => {
      if (String(text).includes('"failure"')) throw new MattingError('unavailable')
      return parts.cos.put(key, text, options)
    }
    expect(await cutOut(through(parts, { put }), source)).toBe('not-an-image')
    expect([await cos.under(RECEIPTS), parts.spent.calls]).toEqual([[], 0])
  })

  it('whose cutouts nobody can look for frees no claim: it may have been done in part', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    let asked = false
    const process = async () => {
      asked = true
      throw new MattingError('unavailable')
    }
    const pieces: Cos['pieces'] = async (key) => {
      if (asked) throw new MattingError('unavailable')
      return parts.cos.pieces(key)
    }
    expect(await cutOut(through(parts, { pieces }, { process }), source)).toBe('unavailable')
    expect(await cutOut(cos.parts(), source, [plain], false)).toBe('pending')
  })

  it.each([
    [20_000, 4],
    [6_500, 3],
  ])(
    '"later" is asked again while half of CLAIM_TIME and %i ms last, %i times in all; then the claim is free',
    async (ms, times) => {
      const cos = await startStill()
      const source = await cos.source(body)
      cos.faults.set([{ on: 'GoodsMatting', kind: 'slow-down' }])
      expect(await cutOut(cos.parts({}, { deadline: cos.now() + ms }), source)).toBe('busy')
      expect(cos.asked('ImageProcess')).toBe(times)
      cos.faults.set([])
      expect(await cutOut(cos.parts(), source)).toBe('made')
    },
  )
})
