import { beforeAll, describe, expect, it } from 'vitest'
import type { Cos } from '../lib/cos.ts'
import { cutoutKey } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import { type Paid, paid } from '../lib/paid.ts'
import { putPhoto } from '../lib/pay/pay.ts'
import { photo } from './helpers/cos.ts'
import { CLAIMS, card, cutOut, KEY, MINUTE, SECOND, seven, startStill, through } from './helpers/still.ts'

let body: Buffer
let other: Buffer
beforeAll(async () => {
  body = await photo()
  other = await photo(80, 60)
})

it('what an attempt of one’s own brings late is of the photo that lay there then, and goes if that was another', async () => {
  const cos = await startStill()
  const source = await cos.source(body)
  const parts = cos.parts()
  const cutout = cutoutKey('cutouts/', source, plain)
  const process: Paid['process'] = async () => {
    throw new MattingError('unknown-outcome')
  }
  const get: Cos['get'] = async (key) => {
    const found = await parts.cos.get(key)
    // Whoever waits sees the claim's time pass; and then, as it has claimed anew, what came of the first call.
    if (key.endsWith('/0')) cos.advance(9 * SECOND)
    if (key.endsWith('/1')) await cos.source(body)
    if (key.endsWith('/1')) await cos.bucket.put(cutout, 'a cutout', { type: 'image/png' })
    return found
  }
  expect(await cutOut(through({ ...parts, deadline: cos.now() + MINUTE }, { get }, { process }), source)).toBe(
    'changed',
  )
  expect(await cos.under('cutouts/')).toEqual([])
  expect(await cos.under(CLAIMS)).toHaveLength(2)
})

describe('an ETag of the photo that Cloud Infinite tells', () => {
  // As in its sample of persistent processing (product/460/18147), where HEAD has an MD5.
  const sha1 = '580cd6930444576523c25f86ce2af9b1fc2d5484'

  it('in another form than HEAD’s is no sign of another photo: what was paid is kept, and not paid again and again', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    const parts = cos.parts()
    const process = saying(parts.cos[paid].process, sha1)
    for (const by of ['made', 'hit']) expect(await cutOut(through(parts, {}, { process }), source)).toBe(by)
    expect(cos.bill()).toHaveLength(1)
    const putting = through(parts, {}, { upload: saying(parts.cos[paid].upload, sha1) })
    expect(await putPhoto(putting, 'uploads/b.jpg', { body, type: 'image/jpeg' }, [plain])).toMatchObject({ paid: 1 })
    expect(await cos.under('cutouts/')).toHaveLength(2)
  })

  it('in the same form tells of another photo, though the one that we know lies there as before', async () => {
    const cos = await startStill()
    const source = await cos.source(body)
    cos.faults.set([
      { on: 'ImageProcess', kind: 'hold', times: 1 },
      { on: 'Cut', kind: 'hold', times: 1 },
    ])
    const making = cutOut(cos.parts(), source, [plain, card])
    await cos.held()
    await cos.bucket.put(KEY, other, { type: 'image/jpeg' })
    cos.faults.release()
    await cos.held()
    // Within the same second.
    expect(await cos.source(body)).toEqual(source)
    cos.faults.release()
    expect(await making).toBe('changed')
    expect(await cos.under('cutouts/')).toEqual([])
  })

  it.each([
    ['says so', 'ed60e3598e6862d8c8443a06acfb2153', []],
    // What the second call says of its own cutouts is true.
    ['does not say', undefined, ['p6x0', 'p7x0']],
  ])('of the first of two calls is not forgotten over the second one: it %s', async (_, told, kept) => {
    const cos = await startStill()
    const source = await cos.source(body)
    cos.advance(SECOND)
    const parts = cos.parts()
    const { process } = parts.cos[paid]
    let calls = 0
    const paying: Paid['process'] = async (...args) => {
      const original = await process(...args)
      if (++calls > 1) return original
      // It was another photo that was cut, and this one lies there again.
      await cos.bucket.put(KEY, body, { type: 'image/jpeg' })
      return told
    }
    expect(await cutOut(through(parts, {}, { process: paying }), source, seven)).toBe('changed')
    expect((await cos.under('cutouts/')).map((key) => key.replace(/.*-|\.png$/g, ''))).toEqual(kept)
  })
})

function saying<T extends unknown[]>(pay: (...args: T) => Promise<string | undefined>, etag: string) {
  return async (...args: T) => {
    await pay(...args)
    return etag
  }
}
