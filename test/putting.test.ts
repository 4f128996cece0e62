import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Cos } from '../lib/cos.ts'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import { type Paid, paid } from '../lib/paid.ts'
import { presignUpload, putPhoto } from '../lib/pay/pay.ts'
import { UPLOAD } from '../local/cloud.ts'
import { photo } from './helpers/cos.ts'
import {
  CLAIMS,
  card,
  claimOf,
  JSON_TYPE,
  KEY,
  outcome,
  RECEIPTS,
  SECOND,
  type Still,
  startStill,
  through,
} from './helpers/still.ts'

const md5 = (body: Buffer) => createHash('md5').update(body).digest('hex')
let mine: Buffer
let other: Buffer
let third: Buffer
beforeAll(async () => {
  mine = await photo()
  other = await photo(80, 60)
  third = await photo(60, 80)
})

/** Puts the photo as a server does, through what `parts` says, and tells how many of its cutouts were paid. */
function put(parts: Parameters<typeof putPhoto>[0], layouts = [plain]): Promise<unknown> {
  return outcome(putPhoto(parts, KEY, { body: mine, type: 'image/jpeg' }, layouts).then(({ paid }) => paid))
}

const claimed = () => claimOf({ key: KEY, etag: md5(mine) })

describe('an upload by a server whose answer is lost', () => {
  it.each([
    // Then nothing is made on the way.
    [[1, 2], 0, true],
    [[2], 'unavailable', false],
  ])('is never taken for stored because HEAD fails the times no. %j: %s', async (failing, told, lies) => {
    const cos = await startStill()
    await cos.source(other)
    cos.faults.set([{ on: 'GoodsMatting', kind: 'reset', times: 1 }])
    let heads = 0
    const head: Cos['head'] = async (key) => {
      if (failing.includes(++heads)) throw new MattingError('unavailable')
      return cos.bucket.head(key)
    }
    expect(await put(through(cos.parts(), { head }))).toBe(told)
    expect(await cos.bucket.head(KEY)).toMatchObject({ etag: md5(lies ? mine : other), type: 'image/jpeg' })
  })

  it('is put again where it was not stored, and lets the vendor have its time from then', async () => {
    const cos = await startStill()
    await cos.source(other)
    cos.faults.set([{ on: 'GoodsMatting', kind: 'reset', times: 1 }])
    expect(await put(cos.parts())).toBe(0)
    expect(await cos.bucket.head(KEY)).toMatchObject({ etag: md5(mine), type: 'image/jpeg' })
    expect(await cos.json(claimed())).toMatchObject({ photo: 'seen', seconds: 3 })
  })

  it.each([
    ['what lay there before, put again', SECOND, () => other],
    ['another one, within the same second', 0, () => third],
  ])('leaves what was put meanwhile: %s', async (_, pause, newer) => {
    const cos = await startStill()
    await cos.source(other)
    cos.advance(pause)
    const parts = cos.parts()
    const putting: Paid['upload'] = async (...args) => {
      await parts.cos[paid].upload(...args)
      await cos.source(newer())
      throw new MattingError('unknown-outcome')
    }
    await put(through(parts, {}, { upload: putting }))
    expect((await cos.bucket.head(KEY))?.etag).toBe(md5(newer()))
  })
})

describe('an upload by a server', () => {
  it('leaves no cutout of the photo that came just after it', async () => {
    const cos = await startStill()
    const parts = cos.parts()
    const putting: Paid['upload'] = async (...args) => {
      await parts.cos[paid].upload(...args)
      return md5(other)
    }
    expect(await put(through(parts, {}, { upload: putting }), [plain, card])).toBe(0)
    expect(await cos.under('cutouts/')).toEqual([])
    expect(parts.spent.calls).toBe(2)
  })

  it.each([
    ['a new photo', false, '60', 20, 60],
    ['the same as before, for all of its time and the vendor’s', true, '6', 20, 20 + 3],
    ['the same as before, but never for less than CLAIM_TIME', true, '60', 7, 60],
  ])('claims %s', async (_, before, CLAIM_TIME, seconds, expected) => {
    const cos = await startStill()
    if (before) await cos.source(mine)
    const parts = cos.parts({ CLAIM_TIME }, { deadline: cos.now() + seconds * SECOND })
    expect(await put(parts)).toBe(1)
    expect(await cos.json(claimed())).toMatchObject({ asker: 'upload', seconds: expected, photo: 'awaited' })
  })

  it.each([
    ['the photo lies there: dates it anew, and leaves it to whoever that is', true, 0, 'seen', 1],
    ['it does not: nothing can be coming any more, so takes over', false, 1, 'awaited', 2],
  ])('finds a claim that is late; %s', async (_, before, paid, photo, claims) => {
    const cos = await startStill()
    if (before) await cos.source(mine)
    await cos.bucket.put(claimed(), '{"id":"theirs","seconds":6,"photo":"awaited"}', JSON_TYPE)
    cos.advance(8 * SECOND)
    expect(await put(cos.parts())).toBe(paid)
    expect(await cos.json(claimed())).toMatchObject({ id: 'theirs', photo })
    expect(await cos.under(CLAIMS)).toHaveLength(claims)
  })
})

describe('a presigned upload', () => {
  function grant(cos: Still, parts = cos.parts(), seconds = 10, layouts = [plain]) {
    const what = { key: KEY, md5: md5(mine), type: 'image/jpeg', size: mine.length }
    return presignUpload(parts, what, layouts, UPLOAD, seconds)
  }

  async function timesOf(granting: ReturnType<typeof grant>): Promise<unknown> {
    const signed = await granting
    return signed && new URL(signed.url).searchParams.get('q-sign-time')
  }
  const noon = Date.parse('2026-01-09T12:00:00Z') / SECOND

  it('signs every header that it asks for, and its length, with the key of who grants it', async () => {
    const cos = await startStill()
    const signed = await grant(cos, undefined, 900, [plain, card])
    const { searchParams } = new URL(signed?.url ?? '')
    const named = Object.keys(signed?.headers ?? {})
    expect(named).toEqual([
      ...['content-md5', 'content-type', 'x-cos-acl', 'x-cos-forbid-overwrite', 'x-cos-meta-matting'],
      ...['x-cos-storage-class', 'pic-operations'],
    ])
    expect(searchParams.get('q-header-list')).toBe([...named, 'content-length', 'host'].sort().join(';'))
    expect(JSON.parse(signed?.headers['pic-operations'] ?? '{}').rules).toHaveLength(2)
    expect(searchParams.get('q-ak')).toBe(UPLOAD.secretId)
    expect(searchParams.get('q-sign-time')).toBe(`${noon - 300};${noon + 900}`)
    const [key = ''] = await cos.under(RECEIPTS)
    const lapses = (noon + 900 + 3 + 2) * SECOND
    expect(key).toMatch(new RegExp(`^${RECEIPTS}2026-01-09/grants/${lapses}-[\\w-]+-2\\.json$`))
    expect((await cos.json(key)).cutouts).toHaveLength(2)
    expect(await cos.json(claimed())).toMatchObject({ asker: 'presigned', seconds: 903, photo: 'awaited' })
  })

  it('ends by its oldest claim', async () => {
    const cos = await startStill()
    const newest = claimOf({ key: KEY, etag: md5(mine) }, card)
    cos.faults.set([{ on: 'PutObject', prefix: newest, kind: 'hold', times: 1 }])
    const times = timesOf(grant(cos, undefined, 60, [plain, card]))
    await cos.held()
    await expect.poll(() => cos.asked('PutObject', CLAIMS)).toBe(1)
    cos.advance(5 * SECOND)
    cos.faults.release()
    expect(await times).toBe(`${noon - 300};${noon + 60}`)
  })

  it.each([
    [10, `${noon - 300};${noon + 10}`],
    [11, undefined],
  ])('that was frozen for %i of its ten seconds is %s', async (seconds, times) => {
    const cos = await startStill()
    cos.faults.set([{ on: 'PutObject', prefix: RECEIPTS, kind: 'hold', times: 1 }])
    const granting = timesOf(grant(cos))
    await cos.held()
    cos.advance(seconds * SECOND)
    cos.faults.release()
    expect(await granting).toBe(times)
    expect(await cos.under(RECEIPTS)).toHaveLength(times ? 1 : 0)
    expect('failure' in (await cos.json(claimed()))).toBe(times === undefined)
  })

  it.each<[string, Record<string, string>, number]>([
    ['that is limited', { DAILY_LIMIT: '9' }, 9],
    ['else', {}, 60],
  ])('just before midnight lasts no longer than the day %s', async (_, settings, seconds) => {
    const cos = await startStill()
    cos.advance((12 * 3600 - 10) * SECOND)
    const start = noon + 12 * 3600 - 10
    expect(await timesOf(grant(cos, cos.parts(settings), 60))).toBe(`${start + seconds - 360};${start + seconds}`)
  })

  it.each([
    ['unavailable', 'unavailable'],
    ['denied', 'denied'],
    // Then without cutouts on the way.
    ['limit-reached', undefined],
    ['changing-too-fast', undefined],
    ['not-an-image', undefined],
  ] as const)('that meets %s is %s', async (code, expected) => {
    const cos = await startStill()
    const pieces: Cos['pieces'] = async () => {
      throw new MattingError(code)
    }
    expect(await outcome(grant(cos, through(cos.parts(), { pieces })))).toBe(expected)
  })

  it('of a photo of which some cutouts are there has the trigger make all that was granted', async () => {
    const cos = await startStill()
    await put(cos.parts())
    await cos.bucket.delete(KEY)
    const parts = cos.parts({ PRESETS: 'card=center-layout=1&padding-layout=20x10' })
    const signed = await grant(cos, parts, 10, [plain, card])
    expect(signed?.headers['x-cos-meta-matting']).toBe('plain,card')
    expect(JSON.parse(signed?.headers['pic-operations'] ?? '{}').rules).toHaveLength(1)
  })
})
