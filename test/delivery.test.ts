import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { type Frame, operations, parseView } from '../lib/view.ts'
import { photo, send, startForTest } from './helpers/cloud.ts'
import { nginx, startNginx, startOrigin } from './helpers/nginx.ts'

/** The recipe's own pattern for what it passes on. */
function passes(args: string): boolean {
  const recipe = readFileSync(new URL('../docs/recipes/nginx-delivery.conf', import.meta.url), 'utf8')
  const [, pattern = ''] = /^ {2}"~(\^.*)" \?\$view;$/m.exec(recipe) ?? []
  expect(pattern).not.toBe('')
  return new RegExp(pattern).test(args)
}

describe('the recipe of a cache in front of the bucket', () => {
  it('passes every view that there is, and none that is billed for each call', () => {
    const side = fc.integer({ min: 1, max: 10_000 })
    const frame: Frame = { x: 3, y: 4, width: 50, height: 60, of: [100, 200] }
    const words = fc.tuple(
      fc.constantFrom([], ['trim=1'], ['trim=1', 'margin=7']),
      fc.oneof(
        fc.constant<string[]>([]),
        side.map((width) => [`width=${width}`]),
        side.map((height) => [`height=${height}`]),
        fc.tuple(side, side).map(([width, height]) => [`width=${width}`, `height=${height}`]),
        fc.tuple(side, side).map(([width, height]) => [`width=${width}`, `height=${height}`, 'fit=cover']),
      ),
      fc.constantFrom([], ['background=ff8800'], ['background=00ff7f']),
      fc.constantFrom<('png' | 'webp' | 'jpg')[]>('png', 'webp', 'jpg'),
      fc.integer({ min: 1, max: 100 }),
    )
    fc.assert(
      fc.property(words, ([trim, size, ground, format, quality]) => {
        const more = format === 'png' ? [] : [`format=${format}`, `quality=${quality}`]
        const view = parseView([...trim, ...size, ...ground, ...more])
        const args = operations(view, format, frame).replaceAll('|', '%7C')
        fc.pre(args !== '')
        expect([args, passes(args)]).toEqual([args, true])
        expect([args, passes(args.replace(/format\/\w+/, 'format/avif'))]).toEqual([args, format === 'png'])
      }),
    )
  })

  it.skipIf(!nginx)('shows views, keeps them, and passes nothing else of a query to the bucket', async () => {
    let cosUrl = ''
    const { origin, asked } = await startOrigin(() => cosUrl)
    const cdn = await startNginx('nginx-delivery.conf', { BUCKET_URL: origin })
    const cloud = await startForTest({ environment: { ACCESS: 'open', DELIVERY_URL: cdn } })
    cosUrl = cloud.cosUrl
    await cloud.upload('uploads/mug.jpg', await photo())
    const { location = '' } = (await cloud.image('/trim=1,width=40,height=40,fit=cover,format=webp/uploads/mug.jpg'))
      .headers
    expect(location.startsWith(`${cdn}/cutouts/`)).toBe(true)
    await expect
      .poll(() =>
        fetch(cdn).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    asked.length = 0
    for (const cache of ['MISS', 'HIT']) {
      const answer = await fetch(location)
      expect([answer.status, answer.headers.get('x-cache')]).toEqual([200, cache])
      expect(await sharp(Buffer.from(await answer.arrayBuffer())).metadata()).toMatchObject({
        format: 'webp',
        width: 40,
        height: 40,
      })
    }
    expect(asked).toEqual([location.replace(/^.*\?/, '')])
    asked.length = 0
    const [path = '', view = ''] = location.slice(cdn.length).split('?')
    const queries = [
      'ci-process=GoodsMatting',
      `${view}&ci-process=GoodsMatting`,
      `ci-process=GoodsMatting&${view}`,
      'image_process',
      'imageMogr2/format/avif',
      '%69mageMogr2/thumbnail/40x',
      'imageMogr2%2Fthumbnail%2F40x',
      `${view}&imageMogr2/thumbnail/9x`,
      `${view}|watermark/2/text/eA`,
      `${view}%7Cci-process=GoodsMatting`,
      `${view}=`,
      `${view}%0aci-process=GoodsMatting`,
      'imageMogr2/',
      'imageMogr2/thumbnail/40x%7C',
      'imageMogr2/thumbnail/40x%7CimageMogr2/thumbnail/9x',
      'imageMogr2/thumbnail/40x/ignore-error/1',
      'style/x',
      'response-content-type=text/html',
    ]
    for (const query of queries) {
      const answer = await send(cdn, `${path}?${query}`, 'GET')
      expect([query, answer.status, answer.headers['content-type']]).toEqual([query, 200, 'image/png'])
    }
    // Without a query they are all the cutout as it is, which was fetched once.
    expect(asked).toEqual([''])
    for (const method of ['PUT', 'POST', 'DELETE']) expect((await send(cdn, path, method)).status).toBe(403)
    expect(asked).toEqual([''])
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})
