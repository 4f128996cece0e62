import { beforeAll, describe, expect, it } from 'vitest'
import type { Cos } from '../lib/cos.ts'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import { putPhoto, type Source } from '../lib/pay/pay.ts'
import { photo } from './helpers/cos.ts'
import {
  CLAIMS,
  card,
  claimOf,
  cutOut,
  JSON_TYPE,
  KEY,
  MINUTE,
  RECEIPTS,
  SECOND,
  seven,
  startStill,
  through,
} from './helpers/still.ts'

let body: Buffer
beforeAll(async () => {
  body = await photo()
})

describe('a photo that changes in a loop', () => {
  it('is one with ten other versions within the last minute, and not a moment longer', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const versions = Array.from({ length: 10 }, (_, i) => ({ key: KEY, etag: `${i}`.repeat(32) }))
    const [tenth = source, ...nine] = versions
    // Each of the nine twice; and one of a photo in a folder of the same name.
    for (const version of nine) {
      for (const layout of [plain, card]) await cos.bucket.put(claimOf(version, layout), '{}', JSON_TYPE)
    }
    await cos.bucket.put(claimOf({ ...tenth, key: `${KEY}/b.jpg` }), '{}', JSON_TYPE)
    for (const layout of [plain, card]) expect(await cutOut(cos.parts(), source, [layout])).toBe('made')
    await cos.bucket.put(claimOf(tenth), '{}', JSON_TYPE)
    const [one] = seven
    expect(await cutOut(cos.parts(), source, one && [one])).toBe('changing-too-fast')
    cos.advance(MINUTE - SECOND)
    expect(await cutOut(cos.parts(), source, one && [one])).toBe('changing-too-fast')
    cos.advance(SECOND)
    expect(await cutOut(cos.parts(), source, one && [one])).toBe('made')
    expect(cos.bill()).toHaveLength(3)
  })
})

describe('a claim', () => {
  it('is made only where there is time to see it through: five seconds, and one to look', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const settings = { CLAIM_TIME: '60' }
    const until = (ms: number) => cos.parts(settings, { deadline: cos.now() + ms })
    expect(await cutOut(until(5_999), source)).toBe('timeout')
    const elsewhere: Source = { ...source, key: 'http://pictures.example/a.jpg', url: 'http://pictures.example/a.jpg' }
    // Its cutout has to be stored as well.
    expect(await cutOut(until(8_999), elsewhere)).toBe('timeout')
    expect(await cos.under('.matting/')).toEqual([])
    expect(await cutOut(until(6_000), source)).toBe('made')
    const detect = async () => body
    expect(await cutOut(through(until(9_000), {}, { detect }), elsewhere)).toBe('made')
  })

  it('that could not be written is tried again under the same number, or another would find it free', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    let tries = 0
    const put: Cos['put'] = async (key, text, options) => {
      if (key.startsWith(CLAIMS) && tries++ === 0) throw new MattingError('unavailable')
      return parts.cos.put(key, text, options)
    }
    expect(await cutOut(through(parts, { put }), source)).toBe('made')
    expect(await cos.under(CLAIMS)).toEqual([claimOf(source)])
  })

  it('is read back a while after it was written, by when a second writer that was let through has overwritten it', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    let written = 0
    const put: Cos['put'] = async (key, text, options) => {
      const done = await parts.cos.put(key, text, options)
      if (key.startsWith(CLAIMS)) written = performance.now()
      return done
    }
    // However slow this machine is: no sooner.
    let pause = 0
    const get: Cos['get'] = (key) => {
      if (key.startsWith(CLAIMS)) pause = performance.now() - written
      return parts.cos.get(key)
    }
    expect(await cutOut(through(parts, { put, get }), source)).toBe('made')
    expect(pause).toBeGreaterThan(90)
  })

  it('that is refused gives back the others, and says why', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const prefix = claimOf(source, card)
    cos.faults.set([{ on: 'PutObject', prefix, kind: 'error', code: 'AccessDenied', times: 1 }])
    expect(await cutOut(cos.parts(), source, [plain, card])).toBe('denied')
    expect(cos.bill()).toEqual([])
    expect(await cutOut(cos.parts(), source, [plain], false)).toBe('made')
  })

  it.each(['', 'no JSON', 'null', '[]', '{"failure":"nonsense"}', '{"failure":7}', '{"seconds":"1"}', '{"id":1}'])(
    'that somebody scribbled on (%j) holds as long as one of ours',
    async (text) => {
      const cos = await startStill()
      const source = await cos.source(body)
      await cos.bucket.put(claimOf(source), text, JSON_TYPE)
      cos.advance(8 * SECOND - 1)
      expect(await cutOut(cos.parts(), source, [plain], false)).toBe('pending')
      cos.advance(1)
      expect(await cutOut(cos.parts(), source)).toBe('made')
    },
  )

  it('of an upload that was refused is no upload that is late', async () => {
    const cos = await startStill()
    cos.faults.set([{ on: 'PutObject', prefix: KEY, kind: 'error', code: 'AccessDenied', times: 1 }])
    expect(await putPhoto(cos.parts(), KEY, { body, type: 'image/jpeg' }, [plain])).toMatchObject({ paid: 0 })
    cos.advance(8 * SECOND)
    expect(await cutOut(cos.parts(), await cos.source(body))).toBe('made')
    expect(await cos.json(claimOf(await cos.source(body)))).toMatchObject({ photo: 'awaited', failure: 'unavailable' })
  })
})

describe('DAILY_LIMIT', () => {
  it('is not overstepped by a call for several, and may be reached to the last', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const limit = (count: number) => cos.parts({ DAILY_LIMIT: `${count}` })
    expect(await cutOut(limit(1), source, [plain, card])).toBe('limit-reached')
    expect(await cos.under(CLAIMS)).toEqual([])
    expect(await cutOut(limit(2), source, [plain, card])).toBe('made,made')
    expect(await cutOut(limit(2), source, seven)).toBe('limit-reached')
    const heads = cos.asked('HeadObject')
    expect(await cutOut(limit(2), source, [plain, card])).toBe('hit,hit')
    expect(cos.asked('HeadObject')).toBe(heads)
  })

  it('is that of COS’s day, in whose receipts it is written', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const limit = { DAILY_LIMIT: '1' }
    expect(await cutOut(cos.parts(limit), source)).toBe('made')
    cos.advance(12 * 60 * MINUTE - 1)
    expect(await cutOut(cos.parts(limit), source, [card])).toBe('limit-reached')
    cos.advance(1)
    expect(await cutOut(cos.parts(limit), source, [card])).toBe('made')
    const days = (await cos.under(RECEIPTS)).map((key) => key.slice(RECEIPTS.length, RECEIPTS.length + 10))
    expect(days).toEqual(['2026-01-09', '2026-01-10'])
  })
})

describe('MAX_SOURCE_BYTES', () => {
  it('is the most that is paid for', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const most = (bytes: number) => cos.parts({ MAX_SOURCE_BYTES: `${bytes}` })
    expect(await cutOut(most(body.length - 1), source)).toBe('too-large')
    expect(await cos.under('.matting/')).toEqual([])
    expect(await cutOut(most(body.length), source)).toBe('made')
  })
})
