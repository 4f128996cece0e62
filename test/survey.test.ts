import { describe, expect, it } from 'vitest'
import { listed, pagesOf } from '../cli/sources.ts'
import { survey, type Verdict } from '../cli/survey.ts'
import { cutoutKey, olderKeys } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import type { Invocation } from '../lib/invocation.ts'
import { plain } from '../lib/layout.ts'
import { writeFailure } from '../lib/pay/failure.ts'
import { card, SECOND, type Still, startStill, through } from './helpers/still.ts'
import { dot } from './helpers/trivial.ts'

const IMAGE = { type: 'image/jpeg' }
const IMAGE_HEADERS = { 'content-type': 'image/jpeg' }
const PNG = { type: 'image/png' }

async function surveyed(parts: Invocation, folders: string[] = []): Promise<Verdict[]> {
  const all: Verdict[] = []
  for await (const one of survey(parts, listed(parts, folders))) all.push(one)
  return all
}

/** Verdicts in short. */
const short = (all: Verdict[]) =>
  Object.fromEntries(
    all.map((one) => [
      one.key.slice('uploads/'.length),
      one.verdict === 'refused' ? one.why : one.verdict === 'missing' ? one.calls : one.verdict,
    ]),
  )

/** As if lists had pages of ten instead of a thousand. */
function inTens(cos: Still): Invocation {
  const parts = cos.parts()
  return through(parts, {
    async page(prefix, after) {
      const { objects, more } = await parts.cos.page(prefix, after)
      return { objects: objects.slice(0, 10), more: more || objects.length > 10 }
    },
  })
}

/** Puts so many at once. */
async function putAll(keys: string[], put: (key: string) => Promise<unknown>) {
  for (let i = 0; i < keys.length; i += 50) await Promise.all(keys.slice(i, i + 50).map(put))
}

describe('a survey', () => {
  it('takes a LIST for each page of objects and of cutouts, and asks for none that is cut out', async () => {
    const cos = await startStill()
    const keys = Array.from({ length: 25 }, (_, i) => `uploads/${String(i).padStart(5, '0')}.jpg`)
    await putAll(keys, async (key) => {
      const source = await cos.source(Buffer.from(key), key)
      await cos.bucket.put(cutoutKey('cutouts/', source, plain), 'png', PNG)
    })
    const before = [cos.asked('GetBucket'), cos.asked('HeadObject')]
    const found = await surveyed(inTens(cos))
    expect(found.filter(({ verdict }) => verdict === 'cut')).toHaveLength(25)
    // Three of objects, three of cutouts, one of marks.
    expect(cos.asked('GetBucket') - (before[0] ?? 0)).toBe(7)
    expect(cos.asked('HeadObject') - (before[1] ?? 0)).toBe(0)
  })

  it('of keys whose cutouts lie in another order takes no more than one LIST for each', async () => {
    const cos = await startStill()
    const names = ['a b', 'aB', 'a+', 'a%20', 'aZ', 'a_', 'ä', '图', '😀', 'a//b', 'a/../b', 'a', 'a.jpg/b']
    const keys = names.map((name) => `uploads/${name}.jpg`)
    // Of others, between which those that are wanted lie.
    const others = Array.from({ length: 30 }, (_, i) => `cutouts/uploads/a${i % 2 ? 'A' : 'x'}${i}/x.png`)
    await putAll(others, (key) => cos.bucket.put(key, 'png', PNG))
    for (const key of keys) {
      const source = await cos.source(Buffer.from(key), key)
      await cos.bucket.put(cutoutKey('cutouts/', source, plain), 'png', PNG)
    }
    const before = cos.asked('GetBucket')
    const found = await surveyed(inTens(cos))
    expect(found.map(({ verdict }) => verdict)).toEqual(names.map(() => 'cut'))
    // Two of objects, one of marks, four of cutouts.
    expect(cos.asked('GetBucket') - before).toBe(2 + 1 + 4)
  })

  it('finds a cutout behind more views of another one than a page has', async () => {
    const cos = await startStill()
    const source = await cos.source(Buffer.from('photo'))
    const views = Array.from({ length: 12 }, (_, i) =>
      cutoutKey('cutouts/', source, card).replace('.png', `/view-${i}.webp`),
    )
    for (const key of [...views, cutoutKey('cutouts/', source, plain)]) await cos.bucket.put(key, 'png', PNG)
    expect(short(await surveyed(inTens(cos)))).toEqual({ 'mug.jpg': 'cut' })
  })

  it('says of each object what the upload function would say, and how many calls it pays', async () => {
    const cos = await startStill()
    const settings = {
      PRESETS: 'card: center-layout 1, padding-layout 20x10',
      SOURCE_PREFIXES: 'uploads/',
      ON_UPLOAD: 'uploads/: plain, card, uploads/one/: plain',
      MAX_SOURCE_BYTES: '100',
    }
    const put = async (name: string, body = name, headers: Record<string, string> = IMAGE_HEADERS) => {
      const seconds = cos.now() / SECOND
      const url = cos.bucket.presign(`uploads/${name}`, seconds - 60, seconds + 60, { method: 'PUT', headers })
      expect((await fetch(url, { method: 'PUT', headers, body })).status).toBe(200)
    }
    await put('new.jpg')
    await put('one/new.jpg')
    await put('octets.png', 'x', { 'content-type': 'application/octet-stream' })
    await put('no-suffix')
    await put('notes.txt', 'x', { 'content-type': 'text/plain' })
    await put('wrong.jpg', 'x', { 'content-type': 'text/html' })
    await put('empty.jpg', '')
    await put('folder/', '')
    await put('large.jpg', 'x'.repeat(101))
    await put('off.jpg', 'off', { 'content-type': 'image/jpeg', 'x-cos-meta-matting': 'off' })
    await put('named.jpg', 'named', { 'content-type': 'image/jpeg', 'x-cos-meta-matting': 'plain' })
    await put('misnamed.jpg', 'misnamed', { 'content-type': 'image/jpeg', 'x-cos-meta-matting': 'nothing' })
    const source = (name: string) => cos.source(Buffer.from(name), `uploads/${name}`)
    const there = async (name: string, layouts = [plain, card]) => {
      const one = await source(name)
      for (const layout of layouts) await cos.bucket.put(cutoutKey('cutouts/', one, layout), 'png', PNG)
      return one
    }
    await there('cut.jpg')
    await there('half.jpg', [card])
    // Somebody bought it, and ended before it was marked.
    const half = await source('half-blank.jpg')
    await cos.bucket.put(cutoutKey('cutouts/', half, card), await dot(0), PNG)
    await there('cut.jpg/inside.jpg')
    const older = await source('older.jpg')
    cos.advance(2 * SECOND)
    for (const layout of [plain, card]) await cos.bucket.put(olderKeys('cutouts/', older, layout)[0] ?? '', 'png', PNG)
    // In the same second, which is all that a HEAD tells.
    const second = await source('second.jpg')
    cos.advance(300)
    for (const layout of [plain, card]) await cos.bucket.put(olderKeys('cutouts/', second, layout)[0] ?? '', 'png', PNG)
    cos.advance(200)
    await source('second.jpg')
    cos.advance(500)
    // Its older cutout was made of another photo, for it was there before.
    const reused = await source('reused.jpg')
    for (const layout of [plain, card]) await cos.bucket.put(olderKeys('cutouts/', reused, layout)[0] ?? '', 'png', PNG)
    cos.advance(2 * SECOND)
    await source('reused.jpg')
    await writeFailure(cos.bucket, 'cutouts/', await source('nothing.jpg'), new MattingError('no-product'))
    await writeFailure(cos.bucket, 'cutouts/', await there('blank.jpg'), new MattingError('no-product'))
    await writeFailure(cos.bucket, 'cutouts/', await source('layout.jpg'), new MattingError('refused'), 'plain')
    // Of another version.
    const changed = { ...(await source('changed.jpg')), etag: 'f'.repeat(32) }
    await writeFailure(cos.bucket, 'cutouts/', changed, new MattingError('no-product'))
    await cos.bucket.put('uploads/deadbeefdeadbeefdeadbeefdeadbeef-plain.png', 'png', PNG)
    // From before MAX_SOURCE_BYTES was lowered.
    const large = await cos.source(Buffer.alloc(101, 'y'), 'uploads/large-cut.jpg')
    for (const layout of [plain, card]) await cos.bucket.put(cutoutKey('cutouts/', large, layout), 'png', PNG)
    const long = `${'l'.repeat(850 - 'uploads/.jpg'.length)}.jpg`
    await there(long)
    const told = ['cut.jpg', 'large.jpg', 'nothing.jpg', 'empty.jpg']
    const heads = () => told.map((name) => cos.asked('HeadObject', `uploads/${name}`))
    const before = heads()
    const all = short(await surveyed(cos.parts(settings)))
    // Lists have told enough.
    expect(heads()).toEqual(before)
    expect(all).toEqual({
      'new.jpg': 2,
      'one/new.jpg': 1,
      'octets.png': 2,
      'no-suffix': 2,
      'notes.txt': 'not an image by its type and name',
      'wrong.jpg': 'not an image by its type and name',
      'empty.jpg': 'empty',
      'folder/': 'empty',
      'large.jpg': 'too-large',
      'large-cut.jpg': 'cut',
      'off.jpg': 'off by its metadata',
      'named.jpg': 1,
      'misnamed.jpg': 'bad-layout',
      'cut.jpg': 'cut',
      'cut.jpg/inside.jpg': 'cut',
      'half.jpg': 1,
      'half-blank.jpg': 'no-product',
      'older.jpg': 'cut',
      'second.jpg': 'cut',
      'reused.jpg': 2,
      'nothing.jpg': 'no-product',
      'blank.jpg': 'no-product',
      'layout.jpg': 'refused',
      'changed.jpg': 2,
      'deadbeefdeadbeefdeadbeefdeadbeef-plain.png': 'a cutout',
      [long]: expect.anything(),
    })
  })

  it('looks again at a photo that was replaced after it was listed, and tells of one that is gone', async () => {
    const cos = await startStill()
    const parts = cos.parts()
    const first = await cos.source(Buffer.from('first'))
    const second = await cos.source(Buffer.from('second'))
    await cos.bucket.put(cutoutKey('cutouts/', second, plain), 'png', PNG)
    const entry = ({ key, etag, size, modified }: typeof first) => ({ key, etag, size, written: modified })
    const gone = { ...entry(first), key: 'uploads/gone.jpg' }
    const all: Verdict[] = []
    for await (const one of survey(parts, pagesOf([entry(first), gone]))) all.push(one)
    expect(short(all)).toEqual({ 'mug.jpg': 'cut', 'gone.jpg': 'not there any more' })
  })

  it('goes on after a list that was not answered four times', async () => {
    const cos = await startStill()
    await cos.bucket.put('uploads/a.jpg', 'a', IMAGE)
    cos.faults.set([{ on: 'GetBucket', kind: 'slow-down', times: 4 }])
    expect(short(await surveyed(cos.parts()))).toEqual({ 'a.jpg': 1 })
  })

  it('of folders within one another goes through each object once, and of a part by its date', async () => {
    const cos = await startStill()
    await cos.bucket.put('uploads/a/1.jpg', '1', IMAGE)
    cos.advance(60 * SECOND)
    const parts = cos.parts()
    await cos.bucket.put('uploads/a/b/2.jpg', '2', IMAGE)
    expect(Object.keys(short(await surveyed(parts, ['uploads/a/', 'uploads/a/b/', 'uploads/a/'])))).toEqual([
      'a/1.jpg',
      'a/b/2.jpg',
    ])
    for (const pages of [listed(parts, []), pagesOf([{ key: 'uploads/a/1.jpg' }, { key: 'uploads/a/b/2.jpg' }])]) {
      const recent: Verdict[] = []
      for await (const one of survey(parts, pages, cos.now() - SECOND)) recent.push(one)
      expect(short(recent)).toEqual({ 'a/b/2.jpg': 1 })
    }
  })
})
