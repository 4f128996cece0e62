import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { element, type Reply } from './helpers/cos.ts'
import { disc, openShop, pixel, quarters, type Shop } from './helpers/processing.ts'

let shop: Shop

beforeAll(async () => {
  shop = await openShop()
  // As large as the picture of the vendor's pages; and one that the 600 pixels of their cut fit into.
  await shop.send('PUT', 'sample.jpeg', { body: await quarters(960, 540).jpeg().toBuffer() })
  await shop.send('PUT', 'large.jpeg', { body: await quarters(1200, 900).jpeg().toBuffer() })
  await shop.send('PUT', 'quarters.png', { body: await quarters(200, 100).png().toBuffer() })
  await shop.send('PUT', 'white.png', { body: await disc(600, 255, 0) })
  await shop.send('PUT', 'black.png', { body: await disc(600, 0, 255) })
})
afterAll(() => shop.end())
afterEach(() => shop.tidy())

async function about(reply: Reply): Promise<unknown[]> {
  if (reply.status !== 200) return [reply.status, element(reply, 'Code'), element(reply, 'Message')]
  const { format, width, height } = await sharp(reply.bytes).metadata()
  return [reply.headers['content-type'], format, width, height]
}

const jpeg = (width: number, height: number) => ['image/jpeg', 'jpeg', width, height]
const left = (name: string) => [501, 'NotImplemented', `The local cloud does not implement ${name}.`]

describe('the examples of the vendor’s pages, letter by letter', () => {
  test.each<[page: string, operation: string, expected: unknown[], key?: string]>([
    ['1045/33713', 'imageMogr2/thumbnail/!50p', jpeg(480, 270)],
    ['1045/33713', 'imageMogr2/thumbnail/!50px', jpeg(480, 540)],
    ['1045/33713', 'imageMogr2/thumbnail/600x600/pad/1/color/IzNEM0QzRA', jpeg(600, 600)],
    ['1045/33714', 'imageMogr2/cut/600x600x100x10', jpeg(600, 600), 'large.jpeg'],
    ['1045/33714', 'imageMogr2/crop/300x400/gravity/center', jpeg(300, 400)],
    ['1045/33714', 'imageMogr2/iradius/200', left('imageMogr2/iradius')],
    ['1045/33714', 'imageMogr2/rradius/100', left('imageMogr2/rradius')],
    ['1045/33714', 'imageMogr2/scrop/100x600', left('imageMogr2/scrop')],
    ['1045/33715', 'imageMogr2/rotate/90', jpeg(540, 960)],
    ['1045/33716', 'imageMogr2/format/png', ['image/png', 'png', 960, 540]],
    ['1045/33717', 'imageMogr2/quality/60', jpeg(960, 540)],
    ['1045/33717', 'imageMogr2/rquality/60', left('imageMogr2/rquality')],
    ['1045/33718', 'imageMogr2/blur/8x5', jpeg(960, 540)],
    ['1045/33719', 'imageMogr2/sharpen/70', jpeg(960, 540)],
    ['1246/109211', 'imageMogr2/strip/format/jpg/size-limit/15k!', left('imageMogr2/size-limit')],
    ['460/72944', 'imageMogr2/format/webp', ['image/webp', 'webp', 960, 540]],
    ['460/72944', 'imageMogr2/format/tpg', left('imageMogr2/format/tpg')],
    ['460/72944', 'imageMogr2/format/heif', left('imageMogr2/format/heif')],
    ['460/72967', 'imageMogr2/thumbnail/!50p/', jpeg(480, 270)],
    [
      '1159/44894',
      'imageMogr2/thumbnail/!50p|watermark/2/text/5pWw5o2u5LiH6LGh/fill/I0ZGRkZGRg==/fontsize/30/dx/20/dy/20',
      left('watermark in image processing'),
    ],
  ])('product/%s: %s', async (_, operation, expected, key = 'sample.jpeg') => {
    expect(await about(await shop.view(key, operation))).toEqual(expected)
    // As the pages join them to a signature: not encoded, and not signed.
    expect(await about(await shop.send('GET', key, { append: operation }))).toEqual(expected)
  })

  test('product/460/6927 and product/460/6928: what is told of a picture', async () => {
    const info = await shop.view('sample.jpeg', 'imageInfo')
    const { size, ...rest } = JSON.parse(info.text)
    expect(Number(size)).toBe((await shop.send('GET', 'sample.jpeg')).bytes.length)
    expect(info.text).toMatch(
      /^\{"format": "jpeg", "width": "960", "height": "540", "size": "\d+", "md5": "[0-9a-f]{32}", /,
    )
    expect(rest).toMatchObject({ frame_count: '1', bit_depth: '8', dynamic_range: 'unknow' })
    expect((await shop.view('quarters.png', 'imageAve')).text).toBe('{"RGB": "0x808080"}')
  })
})

describe('thumbnail, in every spelling', () => {
  test.each<[string, number, number]>([
    ['!x50p', 960, 270],
    ['400x', 400, 225],
    ['x270', 480, 270],
    ['400x400', 400, 225],
    ['2000x2000', 2000, 1125],
    ['400x400>', 400, 225],
    ['2000x2000>', 960, 540],
    ['1920x1920<', 1920, 1080],
    ['400x400<', 960, 540],
    ['!400x300r', 533, 300],
    ['400x300!', 400, 300],
    ['100000@', 421, 237],
    ['900000@', 960, 540],
    ['20000x10!', 10_000, 10],
    ['1x1', 1, 1],
  ])('%s', async (value, width, height) => {
    expect(await about(await shop.view('sample.jpeg', `imageMogr2/thumbnail/${value}`))).toEqual(jpeg(width, height))
  })
})

test('cut, crop, rotate and flip keep what they say they keep', async () => {
  const corner = async (operation: string) => {
    const { bytes } = await shop.view('quarters.png', operation)
    const { width, height } = await sharp(bytes).metadata()
    return [width, height, await pixel(bytes, 0, 0), await pixel(bytes, width - 1, height - 1)]
  }
  const [red, lime, blue, white] = ['#ff0000ff', '#00ff00ff', '#0000ffff', '#ffffffff']
  expect(await corner('imageMogr2/cut/60x40x90x5')).toEqual([60, 40, red, lime])
  expect(await corner('imageMogr2/cut/200x100x0x0')).toEqual([200, 100, red, white])
  expect(await corner('imageMogr2/crop/50x')).toEqual([50, 100, red, blue])
  expect(await corner('imageMogr2/crop/x40/gravity/south')).toEqual([200, 40, blue, white])
  expect(await corner('imageMogr2/crop/40x50/gravity/east')).toEqual([40, 50, lime, white])
  // A view's cover: no more is scaled where one side fits already.
  expect(await corner('imageMogr2/thumbnail/!40x40r|imageMogr2/crop/40x40/gravity/center')).toEqual([
    40,
    40,
    red,
    white,
  ])
  expect(await corner('imageMogr2/rotate/90')).toEqual([100, 200, blue, lime])
  expect(await corner('imageMogr2/flip/vertical')).toEqual([200, 100, blue, lime])
  expect(await corner('imageMogr2/flip/horizontal')).toEqual([200, 100, lime, blue])
})

test('a photo that stands on its side is turned by auto-orient, and else still says so', async () => {
  const body = await quarters(200, 100).jpeg().withMetadata({ orientation: 6 }).toBuffer()
  await shop.send('PUT', 'side.jpg', { body })
  const turned = sharp((await shop.view('side.jpg', 'imageMogr2/auto-orient/thumbnail/50x')).bytes)
  expect(await turned.metadata()).toMatchObject({ width: 50, height: 100 })
  expect((await turned.metadata()).orientation ?? 1).toBe(1)
  const later = sharp((await shop.view('side.jpg', 'imageMogr2/thumbnail/50x/auto-orient')).bytes)
  expect(await later.metadata()).toMatchObject({ width: 50, height: 100 })
  const kept = sharp((await shop.view('side.jpg', 'imageMogr2/thumbnail/50x')).bytes)
  expect(await kept.metadata()).toMatchObject({ width: 50, height: 25, orientation: 6 })
})

describe('quality', () => {
  const told = async (operation: string) => {
    const { bytes } = await shop.view('sample.jpeg', operation)
    await shop.send('PUT', 'told.jpg', { body: bytes })
    const headers = { 'Pic-Operations': '{"is_pic_info":1}' }
    return element(await shop.send('POST', 'told.jpg', { query: { image_process: '' }, headers }), 'Quality')
  }

  test('is the source’s, or less; more only by force', async () => {
    expect(await told('imageMogr2/strip')).toBe('80')
    expect(await told('imageMogr2/quality/60')).toBe('60')
    expect(await told('imageMogr2/quality/95')).toBe('80')
    expect(await told('imageMogr2/quality/95!')).toBe('95')
  })

  test('a JPEG is progressive if that is wanted', async () => {
    const isProgressive = async (operation: string) =>
      (await sharp((await shop.view('sample.jpeg', operation)).bytes).metadata()).isProgressive
    expect(await isProgressive('imageMogr2/interlace/1')).toBe(true)
    expect(await isProgressive('imageMogr2/interlace/0')).toBe(false)
  })
})

describe('transparency', () => {
  test.each([
    ['white', 255, 'black'],
    ['black', 0, 'white'],
  ])(
    '%s on transparency that hides its opposite has no fringe, on whatever ground it is laid',
    async (name, grey, ground) => {
      for (const operation of [
        'imageMogr2/thumbnail/97x/format/webp/quality/100',
        'imageMogr2/thumbnail/97x/format/png',
        'imageMogr2/cut/500x500x50x50|imageMogr2/thumbnail/97x/format/png',
      ]) {
        const { bytes } = await shop.view(`${name}.png`, operation)
        const { data } = await sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true })
        let edge = 0
        for (let i = 0; i < data.length; i += 4) {
          const alpha = data[i + 3] ?? 0
          if (alpha > 16 && alpha < 240) edge++
          if (alpha > 16) expect(Math.abs((data[i] ?? 0) - grey)).toBeLessThanOrEqual(3)
        }
        expect(edge).toBeGreaterThan(50)
        // Of its own colour a ground shows nothing of it: not a dark or a light ring.
        const flat = await sharp(bytes).flatten({ background: name }).greyscale().raw().toBuffer()
        const other = await sharp(bytes).flatten({ background: ground }).greyscale().raw().toBuffer()
        expect(Math.max(...flat) - Math.min(...flat)).toBeLessThanOrEqual(2)
        expect(Math.max(...other) - Math.min(...other)).toBe(255)
      }
    },
  )

  test('a jpg of it lies on white, or on black where that is set', async () => {
    const corner = async () => pixel((await shop.view('white.png', 'imageMogr2/format/jpg')).bytes, 0, 0)
    expect(await corner()).toBe('#ffffffff')
    shop.readings.jpg = 'black'
    expect(await corner()).toBe('#000000ff')
  })

  test('once a pipe has made it a jpg, it is gone', async () => {
    const { bytes } = await shop.view('white.png', 'imageMogr2/format/jpg|imageMogr2/format/png')
    expect(await pixel(bytes, 0, 0)).toBe('#ffffffff')
  })

  test('pad fills what is blank, and what is transparent only where that is set', async () => {
    const operation = 'imageMogr2/thumbnail/200x100/pad/1/color/I0Y2RjVGMg/format/png'
    const at = async () => {
      const { bytes } = await shop.view('white.png', operation)
      return [await pixel(bytes, 0, 0), (await pixel(bytes, 51, 1)).slice(-2), await pixel(bytes, 100, 50)]
    }
    expect(await at()).toEqual(['#f6f5f2ff', '00', '#ffffffff'])
    shop.readings.pad = 'flattens'
    expect(await at()).toEqual(['#f6f5f2ff', 'ff', '#ffffffff'])
    expect(await pixel((await shop.view('white.png', operation)).bytes, 51, 1)).toBe('#f6f5f2ff')
    const { bytes } = await shop.view('white.png', 'imageMogr2/thumbnail/200x100/pad/1')
    expect(await pixel(bytes, 0, 0)).toBe('#ffffffff')
    // A minimum, or one side, leaves nothing blank.
    for (const [value, width] of [
      ['!200x100r', 200],
      ['100x', 100],
    ] as const)
      expect(await about(await shop.view('white.png', `imageMogr2/thumbnail/${value}/pad/1`))).toEqual([
        'image/png',
        'png',
        width,
        width,
      ])
  })
})
