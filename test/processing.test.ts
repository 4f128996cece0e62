import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BUCKET, element, photo, REGION, type Reply, startLab } from './helpers/cos.ts'
import { openShop, quarters, type Shop } from './helpers/processing.ts'

let shop: Shop

beforeAll(async () => {
  shop = await openShop()
  await shop.send('PUT', 'a.png', { body: await quarters(200, 100).png().toBuffer() })
})
afterAll(() => shop.end())
afterEach(() => shop.tidy())

const code = (reply: Reply) => [reply.status, element(reply, 'Code')]
const VIEW = 'imageMogr2/thumbnail/40x/format/webp/quality/80'
const AVIF = 'imageMogr2/format/avif'

/** What is counted while something is done. */
async function counted<T>(work: () => Promise<T>): Promise<[T, object]> {
  const before = shop.processing()
  const done = await work()
  const { calls, bytes, advanced } = shop.processing()
  return [done, { calls: calls - before.calls, bytes: bytes - before.bytes, advanced: advanced - before.advanced }]
}

describe('what is wrong with an operation costs nothing', () => {
  test.each<[number, string, string]>([
    [400, 'InvalidArgument', 'imageMogr2'],
    [400, 'InvalidArgument', 'imageMogr2/'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/400'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/x'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/0x'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/!0p'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/0@'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/400x>'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/-4x3'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/40x/pad/2'],
    [400, 'InvalidArgument', 'imageMogr2/thumbnail/40x30/pad/1/color/ZmZmZmZm'],
    [400, 'InvalidArgument', 'imageMogr2/cut/200x100x1x0'],
    [400, 'InvalidArgument', 'imageMogr2/cut/0x10x0x0'],
    [400, 'InvalidArgument', 'imageMogr2/crop/201x'],
    [400, 'InvalidArgument', 'imageMogr2/crop/20x20/gravity/middle'],
    [400, 'InvalidArgument', 'imageMogr2/quality/101'],
    [400, 'InvalidArgument', 'imageMogr2/format/constructor'],
    [400, 'InvalidArgument', 'imageMogr2/rotate/361'],
    [400, 'InvalidArgument', 'imageMogr2/sharpen/9'],
    [400, 'InvalidArgument', 'imageMogr2/blur/51x5'],
    [400, 'InvalidArgument', 'imageMogr2/blur/8x0'],
    [400, 'InvalidArgument', Array(11).fill('imageMogr2/strip').join('|')],
    [501, 'NotImplemented', 'imageMogr2/rotate/45'],
    [501, 'NotImplemented', 'imageMogr2/format/bmp'],
    [501, 'NotImplemented', 'imageMogr2/background/I0ZGRkZGRg'],
    [501, 'NotImplemented', 'imageMogr2/thumbnail/40x|crop/20x20'],
    [501, 'NotImplemented', 'imageMogr2/strip|imageInfo'],
    [501, 'NotImplemented', 'imagemogr2/thumbnail/40x'],
    [403, 'NoProcessAuthority', AVIF],
    [403, 'NoProcessAuthority', `${AVIF}|imageMogr2/format/webp`],
  ])('%i %s: %s', async (status, name, operation) => {
    const [reply, count] = await counted(() => shop.view('a.png', operation))
    expect([...code(reply), count]).toEqual([status, name, { calls: 0, bytes: 0, advanced: 0 }])
  })

  test('pictures that move are left out, and said to be; information of them is told, and counted', async () => {
    const data = Buffer.alloc(4 * 8 * 3, 9).fill(200, 48)
    const raw = { width: 4, height: 8, channels: 3, pageHeight: 4 } as const
    await shop.send('PUT', 'moving.gif', { body: await sharp(data, { raw }).gif().toBuffer() })
    expect(code(await shop.view('moving.gif', VIEW))).toEqual([501, 'NotImplemented'])
    const [info, count] = await counted(() => shop.view('moving.gif', 'imageInfo'))
    expect(JSON.parse(info.text)).toMatchObject({ format: 'gif', width: '4', height: '4', frame_count: '2' })
    expect(count).toEqual({ calls: 1, bytes: Number(JSON.parse(info.text).size), advanced: 0 })
  })

  test('ten pipes are allowed', async () => {
    expect((await shop.view('a.png', Array(10).fill('imageMogr2/strip').join('|'))).status).toBe(200)
  })
})

describe('limits', () => {
  test.each<[string, () => Promise<Buffer>, string, string, string]>([
    ['no picture', async () => Buffer.from('hello'), VIEW, 'InvalidImageFormat', '-441'],
    [
      'an SVG, which is a program',
      async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      VIEW,
      'InvalidImageFormat',
      '-441',
    ],
    ['half a picture', async () => (await photo(200, 100)).subarray(0, 400), VIEW, 'InvalidImageFormat', '-441'],
    [
      'half a picture, of which the colour is asked',
      async () => (await photo(200, 100)).subarray(0, 400),
      'imageAve',
      'InvalidImageFormat',
      '-441',
    ],
    ['more than 32 MB', async () => Buffer.alloc(32 * 1024 ** 2 + 1), VIEW, 'ImageTooLarge', '-167'],
    ['more than 50,000 pixels a side', () => line(50_001), VIEW, 'ImageResolutionExceed', '-447'],
    ['a result of more', () => line(9_000), 'imageMogr2/thumbnail/!600px', 'ImageResolutionExceed', '-447'],
    [
      'more on the way to a small result',
      () => line(9_000),
      'imageMogr2/thumbnail/!600px|imageMogr2/thumbnail/10x',
      'ImageResolutionExceed',
      '-447',
    ],
    [
      'a webp of more than 16,383',
      () => line(9_000),
      'imageMogr2/thumbnail/!200px/format/webp',
      'ImageResolutionExceed',
      '-447',
    ],
    [
      'more than 250 megapixels',
      () => line(9_000),
      'imageMogr2/thumbnail/!300px|imageMogr2/thumbnail/!x9999p|imageMogr2/thumbnail/!x9999p',
      'ImageResolutionExceed',
      '-447',
    ],
  ])('%s', async (_, make, operation, name, number) => {
    await shop.send('PUT', 'bad', { body: await make() })
    const [reply, { calls }] = (await counted(() => shop.view('bad', operation))) as [Reply, { calls: number }]
    expect([...code(reply), reply.headers['x-errno'], calls]).toEqual([400, name, number, 0])
  })

  test('ignore-error gives the source back, where it is too large or a parameter is out of range', async () => {
    const source = (await shop.send('GET', 'a.png')).bytes
    for (const operation of ['imageMogr2/sharpen/9/ignore-error/1', 'imageMogr2/ignore-error/1/cut/200x100x1x0'])
      expect((await shop.view('a.png', operation)).bytes.equals(source)).toBe(true)
    const body = Buffer.alloc(32 * 1024 ** 2 + 1)
    await shop.send('PUT', 'large', { body })
    expect((await shop.view('large', 'imageMogr2/strip/ignore-error/1')).bytes.length).toBe(body.length)
    expect(code(await shop.view('a.png', 'imageMogr2/sharpen/9/ignore-error/0'))).toEqual([400, 'InvalidArgument'])
    expect(code(await shop.view('a.png', 'imageMogr2/scrop/9x9/ignore-error/1'))).toEqual([501, 'NotImplemented'])
    await shop.send('PUT', 'bad', { body: 'hello' })
    expect(code(await shop.view('bad', 'imageMogr2/strip/ignore-error/1'))).toEqual([400, 'InvalidImageFormat'])
  })
})

function line(width: number): Promise<Buffer> {
  return sharp({ create: { width, height: 1, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
}

test('headers: the result’s type, the source’s date, no ETag; Range is ignored; HEAD has no body', async () => {
  const source = await shop.send('GET', 'a.png')
  const query = { [VIEW]: '', 'response-cache-control': 'max-age=60' }
  const got = await shop.send('GET', 'a.png', { query, headers: { Range: 'bytes=0-3' } })
  expect(got).toMatchObject({
    status: 200,
    headers: {
      'content-type': 'image/webp',
      'content-length': `${got.bytes.length}`,
      'last-modified': source.headers['last-modified'],
      'cache-control': 'max-age=60',
      server: 'tencent-ci',
    },
  })
  expect(got.headers.etag).toBeUndefined()
  const head = await shop.send('HEAD', 'a.png', { query })
  expect([head.headers['content-length'], head.bytes.length]).toEqual([`${got.bytes.length}`, 0])
  expect(code(await shop.view('none.png', VIEW))).toEqual([404, 'NoSuchKey'])
  expect(shop.requests().at(-1)).toMatchObject({ operation: 'BasicImageProcessing', status: 404 })
})

describe('Pic-Operations', () => {
  const rules = (...list: object[]) => ({ 'Pic-Operations': JSON.stringify({ is_pic_info: 1, rules: list }) })

  test.each(['PUT', 'POST'])('%s stores what it makes, and pays for no matting', async (method) => {
    const headers = rules(
      { fileid: '/v/small.webp', rule: VIEW },
      { fileid: '/v/cut.png', rule: 'imageMogr2/cut/50x50x0x0' },
    )
    const body = await photo(200, 100)
    const put = await shop.send('PUT', 'photo.jpg', { body })
    const asked = method === 'PUT' ? { body, headers } : { query: { image_process: '' }, headers }
    const [reply, count] = await counted(() => shop.send(method, 'photo.jpg', asked))
    expect([put.status, reply.status, count]).toEqual([200, 200, { calls: 2, bytes: 2 * body.length, advanced: 0 }])
    expect(shop.bill()).toEqual([])
    const { bytes, headers: stored } = await shop.send('GET', 'v/small.webp')
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'webp', width: 40, height: 20 })
    expect(stored['content-type']).toBe('image/webp')
    expect(reply.text.replace(/\s/g, '')).toContain(
      `<Object><Key>v/small.webp</Key><Location>${BUCKET}.cos.${REGION}.myqcloud.com/v/small.webp</Location><Format>webp</Format>` +
        `<Width>40</Width><Height>20</Height><Quality>80</Quality><Size>${bytes.length}</Size>`,
    )
  })

  test('beside a matting each is charged as what it is; a bad one stores and charges nothing', async () => {
    await shop.send('PUT', 'photo.jpg', { body: await photo(200, 100) })
    const matting = { fileid: '/v/matted.png', rule: 'ci-process=GoodsMatting' }
    const ask = (rule: string) =>
      shop.send('POST', 'photo.jpg', {
        query: { image_process: '' },
        headers: rules(matting, { fileid: '/v/b.webp', rule }),
      })
    const [bad, nothing] = await counted(() => ask('imageMogr2/cut/300x1x0x0'))
    expect([code(bad), nothing, shop.bill()]).toEqual([
      [400, 'InvalidArgument'],
      { calls: 0, bytes: 0, advanced: 0 },
      [],
    ])
    expect((await shop.send('HEAD', 'v/matted.png')).status).toBe(404)
    const [good, { calls }] = (await counted(() => ask(VIEW))) as [Reply, { calls: number }]
    expect([good.status, calls, shop.bill().map(({ fileid }) => fileid)]).toEqual([200, 1, ['v/matted.png']])
  })

  test('with AI recognition closed it still works; unbound it does not', async () => {
    const lab = await startLab()
    await lab.put('photo.jpg', await photo())
    const ask = () =>
      lab.send('POST', 'photo.jpg', { query: { image_process: '' }, headers: rules({ fileid: '/b.webp', rule: VIEW }) })
    await lab.send('DELETE', 'ai_bucket', { host: `${BUCKET}.ci.${REGION}.myqcloud.com` })
    expect([(await ask()).status, (await lab.send('GET', 'photo.jpg', { query: { imageInfo: '' } })).status]).toEqual([
      200, 200,
    ])
    await lab.send('PUT', '', { host: `${BUCKET}.pic.${REGION}.myqcloud.com`, query: { unbind: '' } })
    const unbound = [403, 'NoProcessAuthority']
    expect([code(await ask()), code(await lab.send('GET', 'photo.jpg', { query: { [VIEW]: '' } }))]).toEqual([
      unbound,
      unbound,
    ])
  })
})

test('advanced compression is done where it is switched on, and counted apart', async () => {
  shop.readings.advanced = true
  const [reply, count] = await counted(() => shop.view('a.png', AVIF))
  const { size: bytes } = await sharp((await shop.send('GET', 'a.png')).bytes).metadata()
  expect([reply.headers['content-type'], count]).toEqual(['image/avif', { calls: 1, bytes, advanced: 1 }])
})

test('what was processed stays known after a restart, and is forgotten on a reset', async () => {
  const first = await startLab({ keep: true })
  await first.put('a.jpg', await photo())
  await first.send('GET', 'a.jpg', { query: { [VIEW]: '' } })
  const count = first.processing()
  expect(count.calls).toBe(1)
  await first.close()
  const second = await startLab({ dir: first.options.dir })
  expect(second.processing()).toEqual(count)
  await second.reset()
  expect(second.processing()).toEqual({ calls: 0, bytes: 0, advanced: 0 })
})
