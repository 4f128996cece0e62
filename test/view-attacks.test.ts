import { randomBytes } from 'node:crypto'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { cutoutKey, frameKey } from '../lib/cutout.ts'
import { plain } from '../lib/layout.ts'
import { readPresets, uploadLayouts } from '../lib/preset.ts'
import { codeOf, held, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'

const MUG = 'uploads/mug.jpg'
const OPEN = { ACCESS: 'open' }
const GROUND = `/trim=1,background=ff8800/${MUG}`

/** A disc on a backdrop, at the left or at the right. */
const photo = (colour: string, x = 60) =>
  sharp(
    Buffer.from(
      `<svg width="240" height="120"><rect width="240" height="120" fill="#e4e4e6"/><circle cx="${x}" cy="60" r="40" fill="${colour}"/></svg>`,
    ),
  )
    .jpeg({ quality: 92 })
    .toBuffer()

/** The colour in the middle of a view, and how the request went. */
async function middle(cloud: TestCloud, path: string) {
  const answer = await cloud.image(path)
  if (answer.status !== 302) return codeOf(answer)
  const response = await fetch(answer.headers.location ?? '')
  const { data, info } = await sharp(Buffer.from(await response.arrayBuffer()))
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  const [red = 0, , blue = 0] = data.subarray(((info.height >> 1) * info.width + (info.width >> 1)) * 4)
  return red > blue ? 'red' : 'blue'
}

describe('attack: a ground, a frame or a stored view outlives its cutout', () => {
  it('when the cutout of B, made as that of A, was shown before it was taken back', async () => {
    const cloud = await startForTest({ environment: OPEN })
    const a = await photo('#b03020')
    await putQuietly(cloud, MUG, a)
    cloud.faults.set([
      { on: 'Event', kind: 'drop' },
      { on: 'ImageProcess', kind: 'hold', times: 1 },
      { on: 'DeleteObject', prefix: 'cutouts/', kind: 'hold', times: 1 },
    ])
    const payer = cloud.image(GROUND)
    await held(cloud)
    await cloud.bucket.put(MUG, await photo('#2030b0', 180), { type: 'image/jpeg' })
    cloud.faults.release()
    // Now the payer knows that the vendor has cut out B, and has not removed it yet.
    await expect.poll(() => cloud.faults.held().join()).toMatch(/^cutouts\//)
    await cloud.bucket.put(MUG, a, { type: 'image/jpeg' })
    await middle(cloud, GROUND)
    cloud.faults.set([])
    expect(codeOf(await payer)).toBe('changed')
    cloud.clock.advance(8_000)
    expect(await middle(cloud, GROUND)).toBe('red')
  })

  it('when the cutout was removed and made anew', async () => {
    const STORED = { PRESETS: 'card: width 40, trim 1, background ff8800, store 1', ON_UPLOAD: 'uploads/: card' }
    const cloud = await startForTest({ environment: { ...OPEN, ...STORED } })
    await cloud.upload(MUG, await photo('#b03020'))
    const [cutout = ''] = await cloud.keys('cutouts/')
    const [stored = ''] = (await cloud.keys('cutouts/')).filter((key) => key.endsWith('w40-trim-bff8800.png'))
    const frame = async () => JSON.parse((await cloud.bytes(frameKey(cutout))).toString())
    const before = { view: await cloud.bytes(stored), frame: await frame() }
    cloud.clock.advance(2_000)
    const other = await sharp({ create: { width: 30, height: 20, channels: 4, background: '#2030b0' } })
      .png()
      .toBuffer()
    await cloud.bucket.put(cutout, other, { type: 'image/png' })
    expect(await middle(cloud, GROUND)).toBe('blue')
    expect(before.frame.of).toEqual([240, 120])
    expect(await frame()).toMatchObject({ width: 30, height: 20, of: [30, 20] })
    await cloud.upload(MUG, await photo('#b03020'))
    expect((await cloud.bytes(stored)).equals(before.view)).toBe(false)
  })

  it.each([
    ['the ground', `/background=ff8800/${MUG}`],
    ['the frame', `/trim=1/${MUG}`],
  ])('when ON_DELETE removes the cutout while %s is made', async (_, path) => {
    const cloud = await startForTest({ environment: { ...OPEN, ON_DELETE: 'remove' } })
    await cloud.upload(MUG, await photo('#b03020'))
    const [cutout = ''] = await cloud.keys('cutouts/')
    const prefix = path.includes('trim') ? frameKey(cutout) : cutout.replace('.png', '/')
    cloud.faults.set([{ on: 'PutObject', prefix, kind: 'hold', times: 1 }])
    const asked = cloud.image(path)
    // An answer before that would tell why nothing is held.
    await Promise.race([held(cloud), asked.then((answer) => expect(answer).toBeUndefined())])
    await cloud.bucket.delete(MUG)
    await cloud.scf.idle()
    expect(await cloud.keys('cutouts/')).toEqual([])
    cloud.faults.release()
    await asked
    expect([await cloud.keys('cutouts/'), await cloud.keys('.matting/frames/')]).toEqual([[], []])
  })

  it('when ON_DELETE has listed what there is before the ground is stored', async () => {
    const cloud = await startForTest({ environment: { ...OPEN, ON_DELETE: 'remove' } })
    await cloud.upload(MUG, await photo('#b03020'))
    cloud.faults.set([{ on: 'DeleteObject', prefix: 'cutouts/', kind: 'hold', times: 1 }])
    // The photo comes back before its cutout is removed, so that somebody may ask for it.
    await cloud.bucket.delete(MUG)
    await held(cloud)
    await cloud.bucket.put(MUG, await photo('#b03020'), { type: 'image/jpeg' })
    expect((await cloud.image(GROUND)).status).toBe(302)
    cloud.clock.advance(8_000)
    cloud.faults.set([])
    await cloud.scf.idle()
    // At last it is made anew, because the photo is there again.
    expect([await cloud.keys('cutouts/'), await cloud.keys('.matting/frames/')]).toEqual([
      [expect.stringMatching(/-plain\.png$/)],
      [],
    ])
  })
})

describe('attack: what one view cannot, the others pay for', () => {
  it('a stored view whose ground is too large hides no other', async () => {
    const cloud = await startForTest({
      environment: {
        PRESETS: 'tile: width 20, format jpg, store 1, card: width 20, format webp, store 1',
        ON_UPLOAD: 'uploads/: tile, card',
      },
    })
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    await cloud.upload(MUG, await photo('#b03020'))
    const head = await cloud.bucket.head(MUG)
    // An interlaced PNG is not read here, so it has no ground; the vendor shows it all the same.
    const cutout = cutoutKey('cutouts/', { key: MUG, etag: head?.etag ?? '' }, plain)
    const raw = { width: 4, height: 4, channels: 4 } as const
    const interlaced = await sharp(Buffer.alloc(64, 200), { raw }).png({ progressive: true }).toBuffer()
    await cloud.bucket.put(cutout, interlaced, { type: 'image/png' })
    cloud.faults.set([])
    await cloud.upload(MUG, await photo('#b03020'))
    expect((await cloud.keys('cutouts/')).map((key) => key.replace(/^.*-plain/, ''))).toEqual(['.png', '/w20.webp'])
  })

  it('a view that two presets name is stored and announced once', () => {
    const presets = readPresets('a: width 20|40, store 1, b: width 40|60, store 1') ?? new Map()
    const layouts = uploadLayouts([...presets.values()].slice(1))
    expect(layouts.map(({ views = [] }) => views.map(({ width }) => width))).toEqual([[20, 40, 60]])
  })
})

describe('attack: the view of another request', () => {
  it('a warm instance shows no trimmed view where another is asked, nor another ground', async () => {
    const cloud = await startForTest({ environment: { ...OPEN, REDIRECT_TTL: '300' }, instances: 1 })
    await putQuietly(cloud, MUG, await photo('#b03020'))
    const targets = async () => {
      const found: string[] = []
      for (const layout of [
        'plain',
        'width=40',
        'trim=1',
        'background=ff8800',
        'background=0088ff',
        'trim=1,format=jpg',
      ]) {
        const { location = '' } = (await cloud.image(`/${layout}/${MUG}`)).headers
        const { pathname, search } = new URL(location)
        found.push(`${pathname.replace(/^.*-plain/, '')} ${/cut|thumbnail/.exec(search)?.[0] ?? ''}`)
      }
      return found
    }
    const expected = [
      '.png ',
      '.png thumbnail',
      '.png cut',
      '/ground-ff8800.png ',
      '/ground-0088ff.png ',
      '/ground-ffffff.png cut',
    ]
    expect(await targets()).toEqual(expected)
    const before = cloud.cos.requests().length
    expect(await targets()).toEqual(expected)
    expect(cloud.cos.requests()).toHaveLength(before)
  })

  it('ACCESS=open refuses no width that the preset itself names', async () => {
    const cloud = await startForTest({ environment: { ...OPEN, PRESETS: 'icon: width 8|12, format webp' } })
    await putQuietly(cloud, MUG, await photo('#b03020'))
    for (const [layout, status] of [
      ['icon', 302],
      ['icon,width=8', 302],
      ['icon,width=12', 302],
      ['icon,width=9', 400],
      ['width=8,format=webp', 400],
    ] as const)
      expect([layout, (await cloud.image(`/${layout}/${MUG}`)).status]).toEqual([layout, status])
  })

  it.each([
    'card%252Cwidth%3D160',
    'card%2Cwidth%3D161',
    'card,,width=160',
    'card,width=160,',
    ',width=160',
    'card,WIDTH=160',
    'Card,width=160',
    'card,width=0160',
    'card,width=160.0',
    'card,width=%EF%BC%91%EF%BC%96%EF%BC%90',
    'card,width=%D9%A1%D9%A6%D9%A0',
    'card,__proto__=1',
    '__proto__,width=160',
    'constructor',
    'card,width=160%00',
    'card,width=160%0A',
    'card%20,width=160',
    'card,fit=cover',
    'card,format=auto',
    'card,background=ffffff',
    'plain,trim=1',
    'plain,trim=0',
    'center-layout=0',
    'center-layout=0,width=160',
    `card,width=${'1'.repeat(3000)}`,
    `card${',trim=1'.repeat(900)}`,
  ])('ACCESS=presets offers nothing for %s', async (layout) => {
    const cloud = await startForTest({
      environment: { ACCESS: 'presets', PRESETS: 'card: width 160|320, format webp, trim 1' },
    })
    const before = cloud.cos.requests().length
    const answer = await cloud.image(`/${layout}/${MUG}`)
    expect(answer.status).toBeOneOf([400, 403])
    expect(cloud.cos.requests()).toHaveLength(before)
  })
})

it('attack: a cutout that goes while it is read can be asked for again, and is not called unreadable', async () => {
  const cloud = await startForTest({ environment: OPEN })
  await putQuietly(cloud, MUG, await photo('#b03020'))
  await cloud.image(`/plain/${MUG}`)
  const [cutout = ''] = await cloud.keys('cutouts/')
  // More than the first piece.
  const data = randomBytes(100 * 100 * 4)
  const large = await sharp(data, { raw: { width: 100, height: 100, channels: 4 } })
    .png()
    .toBuffer()
  await cloud.bucket.put(cutout, large, { type: 'image/png' })
  const { pieces } = (await cloud.bucket.pieces(cutout)) ?? {}
  const read = async () => {
    for await (const _ of pieces ?? []) await cloud.bucket.delete(cutout)
  }
  await expect(read()).rejects.toMatchObject({ code: 'changed', retryable: true })
})
