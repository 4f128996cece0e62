import sharp from 'sharp'
import { describe, expect, it, onTestFinished } from 'vitest'
import { imageSet } from '../lib/access.ts'
import { readConfig } from '../lib/config.ts'
import { readPresets, uploadLayouts } from '../lib/preset.ts'
import { startReceiver } from '../local/receiver.ts'
import { codeOf, photo, putQuietly, startForTest } from './helpers/cloud.ts'

const MUG = 'uploads/mug.jpg'
const SECRET = `whsec_${Buffer.alloc(24, 'local-secret').toString('base64')}`
const STORED = {
  ACCESS: 'open',
  PRESETS:
    'card: width 20|40, format webp, trim 1, store 1, tile: width 30, height 30, format jpg, trim 1, store 1, flat: background ff8800, store 1, other: width 50',
  ON_UPLOAD: 'uploads/: card, tile, flat, other',
}

describe('a stored view', () => {
  it('has the bytes that its image URL leads to, and is announced by its words; a retry mends what failed', async () => {
    const receiver = await startReceiver({ port: 0, secret: SECRET, print: () => {} })
    onTestFinished(() => receiver.close())
    const cloud = await startForTest({
      environment: { ...STORED, EVENTS_URL: receiver.url, EVENTS_SECRET: SECRET },
    })
    cloud.faults.set([{ on: 'PutObject', prefix: 'cutouts/', kind: 'error', code: 'AccessDenied', times: 1 }])
    await cloud.upload(MUG, await photo())
    expect(cloud.faults.list()).toMatchObject([{ struck: 1 }])
    const told = receiver
      .events()
      .map(Object)
      .filter(({ type }) => type === 'cutout.created')
    expect(told).toHaveLength(1)
    const { views, cutout } = told[0].data
    expect(views.map(({ view }: { view: string }) => view)).toEqual([
      'width=20,trim=1,format=webp',
      'width=40,trim=1,format=webp',
      'width=30,height=30,trim=1,format=jpg',
      'background=ff8800',
    ])
    for (const { view, key, size, url } of views) {
      const { location = '' } = (await cloud.image(`/${view}/${MUG}`)).headers
      const shown = Buffer.from(await (await fetch(location)).arrayBuffer())
      const stored = await cloud.bytes(key)
      const pixels = async (file: Buffer) => (await sharp(file).raw().toBuffer()).toString('base64')
      expect([view, size, url]).toEqual([view, stored.length, `${cloud.cosUrl}/${key}`])
      expect([view, (await sharp(stored).metadata()).format]).toEqual([view, (await sharp(shown).metadata()).format])
      expect([view, await pixels(stored)]).toEqual([view, await pixels(shown)])
    }
    expect(cutout).not.toHaveProperty('modified')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('is one only of a preset that says so', () => {
    const views = (text: string) => uploadLayouts([...(readPresets(text) ?? [])].map(([, preset]) => preset))[0]?.views
    expect(views('card: width 20, store 0')).toBeUndefined()
    expect(views('card: width 20')).toBeUndefined()
    expect(views('card: width 20, store 1')).toHaveLength(1)
  })
})

it.each([
  [{ PRESETS: 'card: store 1' }, 'PRESETS card: store needs a view, in one format'],
  [{ PRESETS: 'card: width 20, format auto, store 1' }, 'PRESETS card: store needs a view, in one format'],
  [{ PRESETS: 'card: format avif' }, 'PRESETS card: avif needs AVIF=on'],
  [{ PRESETS: 'card: width 20', DELIVERY: 'direct', ACCESS: 'open' }, 'PRESETS card: DELIVERY=direct stores no cutout'],
])('a configuration with %j is refused', (environment, why) => {
  const place = { COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }
  expect(() => readConfig({ ...place, ...environment })).toThrow(why)
})

it('DELIVERY=direct has no views, whoever asks', async () => {
  const cloud = await startForTest({ environment: { ACCESS: 'open', DELIVERY: 'direct' } })
  await putQuietly(cloud, MUG, await photo())
  expect(codeOf(await cloud.image(`/width=40/${MUG}`))).toBe('bad-view')
  expect(cloud.cos.bill()).toEqual([])
})

it('another width of a preset has its own height', async () => {
  const cloud = await startForTest({
    environment: { ACCESS: 'presets', PRESETS: 'card: width 40|80, height 30|50, background 112233' },
  })
  await putQuietly(cloud, MUG, await photo())
  const { location = '' } = (await cloud.image(`/card,width=80/${MUG}`)).headers
  expect(decodeURIComponent(location)).toContain('thumbnail/80x50/')
})

it('the photo instead of its cutout is never laid on a ground', async () => {
  const cloud = await startForTest({ environment: { ACCESS: 'open', ON_FAILURE: 'original', DAILY_LIMIT: '0' } })
  await putQuietly(cloud, MUG, await photo())
  const { location = '' } = (await cloud.image(`/width=40,height=40,background=ff8800/${MUG}`)).headers
  expect(decodeURIComponent(location)).toMatch(/\?imageMogr2\/thumbnail\/40x40=/)
})

it('attack: a view of a cutout of more than 32 MiB is refused, and the cutout is still shown', async () => {
  const cloud = await startForTest({ environment: { ACCESS: 'open' } })
  await putQuietly(cloud, MUG, await photo())
  await cloud.image(`/plain/${MUG}`)
  const [cutout = ''] = await cloud.keys('cutouts/')
  const file = await cloud.bytes(cutout)
  const large = Buffer.concat([file, Buffer.alloc(32 * 1024 * 1024 - file.length + 1)])
  await cloud.bucket.put(cutout, large, { type: 'image/png' })
  expect(codeOf(await cloud.image(`/width=40/${MUG}`))).toBe('no-view')
  expect((await cloud.image(`/plain/${MUG}`)).status).toBe(302)
})

it('srcset lists the widths by number', () => {
  const { srcset } = imageSet('https://img.example.com', {
    layout: 'card',
    key: MUG,
    widths: [1000, 160, 40],
    sizes: '320px',
    width: 1,
    height: 1,
    alt: '',
  })
  expect(srcset.match(/\d+w/g)).toEqual(['40w', '160w', '1000w'])
})
