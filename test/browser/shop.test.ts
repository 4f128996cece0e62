import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, chromium, type Response } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { imageSet } from '../../lib/access.ts'
import { SAMPLES } from '../../local/sample.ts'
import { startTestCloud, type TestCloud } from '../helpers/cloud.ts'
import { nginx, startNginx, startOrigin } from '../helpers/nginx.ts'
import { sample } from '../helpers/samples.ts'
import { program } from './visitor.ts'

const GROUND = [242, 177, 52] as const
const HEX = Buffer.from(GROUND).toString('hex')
const VIEW = 'width 120|240, height 120|240, trim 1, margin 5, format webp'
const PRESETS = `clear: ${VIEW}, ground: ${VIEW}, background ${HEX}`.replace(`${VIEW}, b`, `${VIEW}, quality 95, b`)

/** What is wrong with the pictures of a page; runs in the browser. A canvas that others' pictures have tainted cannot be read. */
function inspect({ ground, slack }: { ground: readonly number[]; slack: number }): string[] {
  const wrong: string[] = []
  for (const image of document.images) {
    const { naturalWidth: width, naturalHeight: height } = image
    const canvas = Object.assign(document.createElement('canvas'), { width, height })
    const context = canvas.getContext('2d', { willReadFrequently: true })
    if (!context) return ['no canvas']
    const paint = () => [...context.getImageData(0, 0, width, height).data]
    context.drawImage(image, 0, 0)
    const bare = paint()
    context.globalCompositeOperation = 'destination-over'
    context.fillStyle = `rgb(${ground.join(' ')})`
    context.fillRect(0, 0, width, height)
    const laid = paint()
    const at = (pixels: number[], x: number, y: number, c: number) => pixels[(y * width + x) * 4 + c] ?? 0
    for (const [x, y] of [[0, 0] as const, [width - 1, height - 1] as const])
      for (let c = 0; c < 3; c++)
        if (Math.abs(at(laid, x, y, c) - (ground[c] ?? 0)) > slack)
          wrong.push(`${image.src}: the ground is ${at(laid, x, y, c)}`)
    // A fringe: a pixel on the edge of the product that is lighter or darker than both the ground and the product beside it.
    let [edges, fringes] = [0, 0]
    for (let y = 0; y < height; y++)
      for (let x = 2; x < width - 2; x++) {
        const alpha = at(bare, x, y, 3)
        if (alpha < 16 || alpha > 240) continue
        const inside = at(bare, x + 2, y, 3) > at(bare, x - 2, y, 3) ? x + 2 : x - 2
        if (at(bare, inside, y, 3) < 250) continue
        edges++
        const isOff = [0, 1, 2].some((c) => {
          const [a, b, here] = [ground[c] ?? 0, at(laid, inside, y, c), at(laid, x, y, c)]
          return here < Math.min(a, b) - 24 || here > Math.max(a, b) + 24
        })
        if (isOff) fringes++
      }
    // The ring has a rim that is lighter than what lies two pixels inside.
    if (fringes > edges / 8) wrong.push(`${image.src}: ${fringes} of ${edges} pixels on the edge are a fringe`)
  }
  return wrong
}

let browser: Browser
let photos: Buffer[]

/** A server of one page, whose HTML is given later. */
async function startPage(): Promise<{ origin: string; show: (html: string) => void }> {
  let html = ''
  const server = createServer((_, response) => {
    response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end(`<!doctype html><link rel="icon" href="data:,">${html}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    show: (text) => {
      html = text
    },
  }
}

/** The tiles of a shop, as a page would have them that wants to draw them on a canvas, too. */
function tiles(cloud: TestCloud, layout: string): string {
  const page = { layout, widths: [120, 240], sizes: '(max-width: 500px) 240px, 120px', width: 120, height: 120 }
  return SAMPLES.slice(0, photos.length)
    .map((name) => imageSet(cloud.imageUrl, { ...page, key: `uploads/${name}.jpg`, alt: name }).img)
    .join('')
    .replaceAll('<img ', '<img crossorigin="anonymous" ')
}

/** Opens a page in a window of its own, and tells of its pictures. */
async function open(origin: string, width: number) {
  const page = await browser.newPage({ viewport: { width, height: 600 } })
  const complaints: string[] = []
  const answers: Response[] = []
  page.on('response', (response) => answers.push(response))
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(origin)
  // They are loaded lazily, after the page.
  await page.waitForFunction(() =>
    [...document.images].every(({ complete, naturalWidth }) => complete && naturalWidth > 0),
  )
  const pictures = answers.filter((answer) => answer.headers()['content-type'] === 'image/webp')
  const bytes = (await Promise.all(pictures.map((picture) => picture.body()))).reduce(
    (sum, { length }) => sum + length,
    0,
  )
  const sides = await page.evaluate(() =>
    [...document.images].map((image) => Math.max(image.naturalWidth, image.naturalHeight)),
  )
  return { page, complaints, bytes, sides, urls: answers.map((answer) => answer.url()) }
}

describe.skipIf(!program)('a shop page in Chromium', () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: program ?? '', args: ['--no-sandbox'] })
    photos = await Promise.all(SAMPLES.map(async (name) => (await sample(name)).jpeg))
  })
  afterAll(() => browser?.close())

  async function startShop(origin: string, environment: Record<string, string> = {}): Promise<TestCloud> {
    const cloud = await startTestCloud({ environment: { PRESETS, ...environment }, origins: [origin] })
    onTestFinished(() => cloud.close())
    await Promise.all(photos.map((body, i) => cloud.upload(`uploads/${SAMPLES[i]}.jpg`, body)))
    return cloud
  }

  it('shows four products from a tenth of the bytes, on its ground, without a fringe', async () => {
    const { origin, show } = await startPage()
    const cloud = await startShop(origin)
    let raw = 0
    for await (const { key, size } of cloud.bucket.list('cutouts/')) if (key.endsWith('-plain.png')) raw += size
    for (const [layout, slack] of [
      ['clear', 0],
      ['ground', 3],
    ] as const) {
      show(tiles(cloud, layout))
      const seen = await open(origin, 800)
      expect(seen.sides).toEqual([120, 120, 120, 120])
      expect(seen.bytes).toBeGreaterThan(0)
      expect(seen.bytes).toBeLessThan(raw / 10)
      expect(await seen.page.evaluate(inspect, { ground: GROUND, slack })).toEqual([])
      expect(seen.complaints).toEqual([])
      expect(new Set(seen.urls.map((url) => new URL(url).hostname))).toEqual(new Set(['127.0.0.1']))
      await seen.page.close()
    }
    const narrow = await open(origin, 400)
    expect(narrow.sides).toEqual([240, 240, 240, 240])
    expect(cloud.cos.bill()).toHaveLength(4)
  })

  it.skipIf(!nginx)('is the same through a cache in front of the bucket', async () => {
    const { origin, show } = await startPage()
    let cosUrl = ''
    const bucket = await startOrigin(() => cosUrl)
    const cdn = await startNginx('nginx-delivery.conf', { BUCKET_URL: bucket.origin })
    const cloud = await startShop(origin, { DELIVERY_URL: cdn })
    cosUrl = cloud.cosUrl
    show(tiles(cloud, 'clear'))
    for (const times of [1, 2]) {
      const seen = await open(origin, 800)
      expect(seen.sides).toEqual([120, 120, 120, 120])
      expect(await seen.page.evaluate(inspect, { ground: GROUND, slack: 0 })).toEqual([])
      expect(seen.complaints).toEqual([])
      await seen.page.close()
      expect([times, bucket.asked.length]).toEqual([times, 4])
    }
    expect(cloud.cos.bill()).toHaveLength(4)
  })
})
