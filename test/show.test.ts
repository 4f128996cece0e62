import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { type Answer, codeOf, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'

const PRESETS = [
  'card: width 160|320|640, format webp, trim 1',
  'auto: width 20, format auto',
  'tile: center-layout 1, width 40, height 30, background ff8800',
].join(', ')
const OPEN = { ACCESS: 'open', PRESETS }
const KEYS = 'shop:0123456789abcdef'
const MUG = 'uploads/mug.jpg'

/** A disc with a diameter of 120 pixels, around (100, 90). */
const photo = (colour = '#b03020') =>
  sharp(
    Buffer.from(
      `<svg width="240" height="200"><rect width="240" height="200" fill="#e4e4e6"/><circle cx="100" cy="90" r="60" fill="${colour}"/></svg>`,
    ),
  )
    .jpeg({ quality: 92 })
    .toBuffer()

async function withMug(environment: Record<string, string>, options = {}): Promise<TestCloud> {
  const cloud = await startForTest({ environment, ...options })
  await cloud.upload(MUG, await photo())
  return cloud
}

/** What the redirect leads to: the object's key and the vendor's processing, decoded. */
function target({ headers: { location = '' } }: Answer): { key: string; processing: string } {
  const { pathname, search } = new URL(location)
  const part = search.split(/[?&]/).find((part) => part.startsWith('imageMogr2')) ?? ''
  return { key: decodeURIComponent(pathname.slice(1)), processing: decodeURIComponent(part).replace(/=$/, '') }
}

/** The picture that a viewer gets, with an alpha channel, whatever it is stored as. */
async function see(cloud: TestCloud, layout: string, headers: Record<string, string> = {}) {
  const answer = await cloud.image(`/${layout}/${MUG}`, { headers })
  expect([answer.status, answer.body]).toEqual([302, ''])
  const response = await fetch(answer.headers.location ?? '')
  const bytes = Buffer.from(await response.arrayBuffer())
  expect([response.status, response.ok || bytes.toString()]).toEqual([200, true])
  const { format = '', hasAlpha } = await sharp(bytes).metadata()
  const { data, info } = await sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true })
  const at = (x: number, y: number) => [...data.subarray((y * info.width + x) * 4, (y * info.width + x) * 4 + 4)]
  return {
    answer,
    format,
    hasAlpha,
    width: info.width,
    height: info.height,
    at,
    type: response.headers.get('content-type'),
  }
}

describe('promise 8: a view of a cutout', () => {
  it('is shown in a hundred sizes and formats for one paid call, and another version of the photo is one more', async () => {
    const cloud = await startForTest({ environment: OPEN })
    await putQuietly(cloud, MUG, await photo())
    const widths = Array.from({ length: 25 }, (_, i) => 16 + i)
    const layouts = widths.flatMap((width) =>
      ['png', 'webp', 'jpg', 'auto'].map((format) => `width=${width},format=${format}`),
    )
    const show = async (some = layouts) => {
      const answers = await Promise.all(some.map((layout) => cloud.image(`/plain,${layout}/${MUG}`)))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([302]))
      return answers
    }
    const answers = await show()
    for (const { headers } of answers.slice(-12)) expect((await fetch(headers.location ?? '')).status).toBe(200)
    expect(cloud.cos.bill()).toHaveLength(1)
    await putQuietly(cloud, MUG, await photo('#2040b0'))
    await show(layouts.slice(0, 20))
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('has one address for all its spellings, and the cutout’s key does not depend on it', async () => {
    const cloud = await withMug(OPEN)
    const spellings = [
      'plain,width=40,format=webp',
      'format=webp,quality=80,width=40',
      'center-layout=0,width=40,trim=0,format=webp',
    ]
    const found = await Promise.all(spellings.map(async (text) => target(await cloud.image(`/${text}/${MUG}`))))
    const { key } = target(await cloud.image(`/plain/${MUG}`))
    expect(found).toEqual(spellings.map(() => ({ key, processing: 'imageMogr2/thumbnail/40x/format/webp/quality/80' })))
    // So the image function may also encode the words.
    const encoded = await cloud.image(`/${encodeURIComponent('plain,width=40')}/${MUG}`)
    expect(target(encoded).processing).toBe('imageMogr2/thumbnail/40x')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('trims to the product, whose frame is read once', async () => {
    const cloud = await withMug({ ...OPEN, REDIRECT_TTL: '300' }, { instances: 1 })
    const reads = () => cloud.cos.requests().filter(({ path }) => path.startsWith('/.matting/frames/')).length
    const { width, height, at } = await see(cloud, 'trim=1')
    expect(
      [width, height].map((side) => Math.abs(side - 120) <= 8),
      `${width}x${height}`,
    ).toEqual([true, true])
    expect(at(width >> 1, height >> 1)[3]).toBe(255)
    expect(at(0, 0)[3]).toBeLessThan(128)
    const records = await cloud.keys('.matting/frames/')
    expect(records).toHaveLength(1)
    const before = { reads: reads(), all: cloud.cos.requests().length }
    await cloud.image(`/trim=1,width=20,format=webp/${MUG}`)
    // A warm instance asks nothing more, in whatever size.
    expect(cloud.cos.requests()).toHaveLength(before.all)
    expect(before.reads).toBe(2)
    expect(await see(cloud, 'trim=1,width=100,height=100')).toMatchObject({ width: 100, height: 100 })
  })

  it('lies on its ground exactly, which is made once', async () => {
    const cloud = await withMug(OPEN)
    for (const [layout, format] of [
      ['background=ff8800,width=40,height=40', 'png'],
      ['background=ff8800,width=40,height=40,trim=1,format=webp,quality=100', 'webp'],
    ] as const) {
      const { at, ...seen } = await see(cloud, layout)
      expect(seen).toMatchObject({ format, hasAlpha: false, width: 40, height: 40 })
      if (format === 'png') expect([at(0, 0), at(39, 39)]).toEqual([0, 1].map(() => [255, 136, 0, 255]))
    }
    const jpg = await see(cloud, 'format=jpg')
    expect(jpg.at(0, 0)).toEqual([255, 255, 255, 255])
    const grounds = (await cloud.keys('cutouts/')).filter((key) => key.includes('/ground-'))
    expect(grounds.map((key) => key.replace(/^.*\//, ''))).toEqual(['ground-ff8800.png', 'ground-ffffff.png'])
    const writes = cloud.cos
      .requests()
      .filter(({ operation, path }) => operation === 'PutObject' && path.includes('/ground-'))
    expect(writes).toHaveLength(2)
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('is transparent as webp and png', async () => {
    const cloud = await withMug(OPEN)
    for (const format of ['png', 'webp']) {
      const { at, ...seen } = await see(cloud, `width=30,format=${format}`)
      expect(seen).toMatchObject({ format, hasAlpha: true, width: 30, height: 25, type: `image/${format}` })
      expect([at(0, 0)[3], at(12, 11)[3]]).toEqual([0, 255])
    }
  })

  it.each([
    ['image/avif,image/webp,*/*', 'off', 'webp'],
    ['image/avif,image/webp,*/*', 'on', 'avif'],
    ['image/png,*/*', 'on', 'png'],
    [undefined, 'off', 'png'],
  ])('with format=auto, for Accept %s and AVIF=%s, is %s', async (accept, avif, format) => {
    const cloud = await withMug({ ...OPEN, AVIF: avif })
    const answer = await cloud.image(`/auto/${MUG}`, { headers: accept ? { accept } : {} })
    expect(answer.headers.vary).toBe('accept')
    expect(target(answer).processing).toBe(
      `imageMogr2/thumbnail/20x${format === 'png' ? '' : `/format/${format}/quality/80`}`,
    )
    expect((await cloud.image(`/card/${MUG}`)).headers.vary).toBeUndefined()
  })

  it('follows DELIVERY_URL with exactly its processing', async () => {
    const cloud = await withMug({ ...OPEN, DELIVERY_URL: 'https://cdn.example.com' })
    const { key } = target(await cloud.image(`/plain/${MUG}`))
    const location = async (layout: string) => (await cloud.image(`/${layout}/${MUG}`)).headers.location
    expect(await location('plain')).toBe(`https://cdn.example.com/${key}`)
    expect(await location('width=40,height=30,fit=cover,format=webp')).toBe(
      `https://cdn.example.com/${key}?imageMogr2/thumbnail/!40x30r%7CimageMogr2/crop/40x30/gravity/center/format/webp/quality/80`,
    )
  })

  it('of the photo is shown where there is no cutout, without trim and ground', async () => {
    const cloud = await startForTest({ environment: { ...OPEN, ON_FAILURE: 'original', DAILY_LIMIT: '0' } })
    await putQuietly(cloud, MUG, await photo())
    const answer = await cloud.image(`/trim=1,background=ff8800,width=20,format=webp/${MUG}`)
    expect(answer.headers['x-matting']).toBe('original')
    expect(target(answer)).toEqual({ key: MUG, processing: 'imageMogr2/thumbnail/20x/format/webp/quality/80' })
    expect((await fetch(answer.headers.location ?? '')).status).toBe(200)
  })
})

describe('what may be asked of a view', () => {
  const codes = async (cloud: TestCloud, layouts: readonly string[]) =>
    Object.fromEntries(
      await Promise.all(
        layouts.map(async (layout) => {
          const answer = await cloud.image(`/${layout}/${MUG}`)
          return [layout, answer.status === 302 ? 302 : `${answer.status} ${codeOf(answer)}`]
        }),
      ),
    )

  it('with ACCESS=presets: presets and their widths', async () => {
    const cloud = await withMug({ PRESETS, ACCESS: 'presets' })
    expect(
      await codes(cloud, ['card', 'card,width=160', 'card,width=640', 'card,trim=1,width=320', 'tile', 'plain']),
    ).toEqual({
      card: 302,
      'card,width=160': 302,
      'card,width=640': 302,
      'card,trim=1,width=320': 302,
      tile: 302,
      plain: 302,
    })
    const refused = [
      'card,width=161',
      'card,width=160,quality=90',
      'card,trim=0',
      'plain,width=160',
      'width=160',
      'tile,width=41',
      'card,format=png',
    ]
    expect(new Set(Object.values(await codes(cloud, refused)))).toEqual(new Set(['403 layout-refused']))
    const wrong = [
      'card,width=0',
      'card,width=160,width=160',
      'card,size=4',
      'card,center-layout=1',
      'nope,width=160',
      'card,',
    ]
    for (const [layout, code] of Object.entries(await codes(cloud, wrong)))
      expect([layout, code]).toEqual([layout, expect.stringMatching(/^400 bad-(view|layout)$/)])
    // The first width is the standard.
    expect(target(await cloud.image(`/card/${MUG}`))).toEqual(target(await cloud.image(`/card,width=160/${MUG}`)))
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('with ACCESS=open: sizes from 16 to 4096, and AVIF only where it is switched on', async () => {
    const cloud = await withMug(OPEN)
    expect(
      await codes(cloud, [
        'width=16',
        'width=4096',
        'height=16',
        'width=15',
        'height=4097',
        'format=avif',
        'card,width=50,height=50',
      ]),
    ).toEqual({
      'width=16': 302,
      'width=4096': 302,
      'height=16': 302,
      'width=15': '400 bad-view',
      'height=4097': '400 bad-view',
      'format=avif': '400 bad-view',
      'card,width=50,height=50': 302,
    })
  })

  it('with ACCESS=signed: what is signed', async () => {
    const cloud = await withMug({ PRESETS, ACCESS: 'signed', URL_KEYS: KEYS })
    const expires = Math.floor(cloud.clock.now() / 1000) + 600
    const url = (layout: string) => imageUrl('', { layout, key: MUG, expires }, 'shop', '0123456789abcdef')
    expect((await cloud.image(url('card,width=7'))).status).toBe(302)
    expect(codeOf(await cloud.image(url('card,width=320').replace('320', '640')))).toBe('bad-signature')
    expect(codeOf(await cloud.image(url('format=avif')))).toBe('bad-view')
  })

  it('says what to do with sizes in the query, without a layout, and outside the source folders', async () => {
    const cloud = await withMug(OPEN)
    const titleOf = ({ body }: Answer) => JSON.parse(body).title
    for (const wish of ['w=400', 'h=4', 'width=400', 'height=4', 'format=webp', 'quality=80', 'a=b&w=4']) {
      const answer = await cloud.image(`/plain/${MUG}?${wish}`)
      expect([answer.status, codeOf(answer)]).toEqual([400, 'bad-request'])
      expect(titleOf(answer)).toContain('/plain,width=400,format=webp/uploads/mug.jpg')
    }
    expect((await cloud.image(`/plain/${MUG}?v=2&fbclid=x`)).status).toBe(302)
    const bare = await cloud.image(`/${MUG}`)
    expect([bare.status, codeOf(bare)]).toEqual([400, 'bad-layout'])
    expect(titleOf(bare)).toContain(`/plain/${MUG}`)
    await cloud.bucket.put('other/mug.jpg', await photo(), { type: 'image/jpeg' })
    const before = cloud.cos.requests().length
    const outside = await cloud.image('/plain/other/mug.jpg')
    expect([outside.status, codeOf(outside)]).toEqual([404, 'not-a-source'])
    // Nobody learns what else is in the bucket.
    expect((await cloud.image('/plain/other/none.jpg')).body).toBe(outside.body)
    expect(cloud.cos.requests()).toHaveLength(before)
    expect(codeOf(await cloud.image('/plain/uploads/none.jpg'))).toBe('not-found')
  })
})

describe('promise 4: a view’s URL', () => {
  it('pays nothing, however it is changed, and what is signed of it cannot be changed', async () => {
    const cloud = await withMug(OPEN)
    const { location = '' } = (await cloud.image(`/trim=1,width=20,format=webp/${MUG}`)).headers
    expect((await fetch(location)).status).toBe(200)
    // COS verifies only what the signature lists; what else such a request does, is the vendor's affair, but it is not paid.
    const unsigned = [
      'ci-process=GoodsMatting',
      'ci-process=GoodsMatting&center-layout=1',
      'ci-process=GoodsMatting&detect-url=http%3A%2F%2Fpictures.example%2Fmug.jpg',
      'image_process',
      'imageMogr2/format/avif',
      'imageMogr2%2Fthumbnail%2F9x=',
      'imageInfo',
      'imageAve',
      'style/x',
      'Pic-Operations=%7B%7D',
    ].flatMap((text) => [`${location}&${text}`, location.replace('?', `?${text}&`)])
    for (const url of unsigned) await (await fetch(url)).arrayBuffer()
    const parts = [
      'thumbnail%2F20x',
      'webp',
      'cut%2F',
      'imageMogr2',
      'q-sign-time=',
      'q-key-time=',
      'q-ak=',
      'q-signature=',
    ]
    const changed = [
      ...parts.map((part) => location.replace(part, `${part}9`)),
      location.replace(/imageMogr2[^&]*&/, ''),
      location.replace(/q-url-param-list=[^&]*/, 'q-url-param-list='),
      location.replace('thumbnail%2F20x', 'thumbnail%2F2000x'),
      location.replaceAll('webp', 'avif'),
      location.replace(/%2Fquality%2F\d+/, ''),
      location.replace('-plain.png', '-c1.png'),
      location.replace('/cutouts/', '/'),
      location.replace(/\?.*/, ''),
      location.replace(/\?.*/, '?ci-process=GoodsMatting'),
      location.replace(/\?(.*?=)/, '?ci-process=GoodsMatting&x'),
      location.replace('q-header-list=host', 'q-header-list='),
      location.replace('q-sign-algorithm=sha1', 'q-sign-algorithm=md5'),
    ]
    expect(new Set([location, ...unsigned, ...changed]).size).toBeGreaterThan(40)
    for (const url of changed) expect([url, (await fetch(url)).status]).toEqual([url, expect.toBeOneOf([400, 403])])
    for (const method of ['PUT', 'POST', 'DELETE'])
      expect((await fetch(location, { method, headers: { 'pic-operations': '{}' } })).status).toBe(403)
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('a view that is stored', () => {
  const STORED = {
    PRESETS:
      'card: width 20|40, format webp, trim 1, store 1, tile: width 30, height 30, background ffffff, format jpg, store 1',
    ON_UPLOAD: 'uploads/: plain, card, tile',
  }

  it('is an object beside its cutout, made once, announced, and never cut out itself', async () => {
    const cloud = await withMug(STORED)
    const files = async () => (await cloud.keys('cutouts/')).map((key) => key.replace(/^.*-plain\/?/, ''))
    const expected = ['.png', 'ground-ffffff.png', 'w20-trim.webp', 'w30-h30-bffffff.jpg', 'w40-trim.webp']
    expect((await files()).sort()).toEqual(expected.map((name) => name.replace('-bffffff', '')).sort())
    const renders = () => cloud.cos.requests().filter(({ operation }) => operation === 'ImageProcess').length
    const before = renders()
    await cloud.upload(MUG, await photo())
    expect(renders()).toBe(before)
    expect(cloud.cos.bill()).toHaveLength(1)
    const [key = ''] = (await cloud.keys('cutouts/')).filter((name) => name.endsWith('w40-trim.webp'))
    expect(await sharp(await cloud.bytes(key)).metadata()).toMatchObject({ format: 'webp', width: 40, hasAlpha: true })
  })

  it('goes with its photo', async () => {
    const cloud = await withMug({ ...STORED, ON_DELETE: 'remove' })
    expect(await cloud.keys('cutouts/')).not.toEqual([])
    await cloud.bucket.delete(MUG)
    await cloud.scf.idle()
    expect(await cloud.keys('cutouts/')).toEqual([])
  })
})
