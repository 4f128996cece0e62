// Makes the pictures of the README from the samples, by image URLs and by the page of the local cloud: npx tsx docs/picture.ts
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { imageSet } from '../lib/access.ts'
import { createCos } from '../lib/cos.ts'
import { CREDENTIALS, startCloud } from '../local/cloud.ts'
import { drawSample } from '../local/sample.ts'

const PRODUCTS = [
  { name: 'mug', title: 'Stoneware mug', ground: '#f4e3d3' },
  { name: 'ring', title: 'Gold ring', ground: '#dfe7ec' },
  { name: 'bottle', title: 'Amber bottle', ground: '#e6ead9' },
  { name: 'vase', title: 'White vase', ground: '#efdfe2' },
] as const

const data = await mkdtemp(join(tmpdir(), 'picture-'))
const PRESETS = 'tile: width 240|480, height 240|480, trim 1, margin 8, format webp'
const cloud = await startCloud({ port: 0, data, environment: { PRESETS, REDIRECT_TTL: '300' } })
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  const now = Date.now
  const bucket = createCos({
    endpoint: cloud.cosUrl,
    credentials: CREDENTIALS,
    deadline: now() + 60_000,
    now,
    random: Math.random,
  })
  for (const { name } of PRODUCTS)
    await bucket.put(`uploads/${name}.jpg`, (await drawSample(name)).jpeg, { type: 'image/jpeg' })
  await cloud.scf.idle()
  const seconds = Math.floor(now() / 1000)
  const cards = await Promise.all(
    PRODUCTS.map(async ({ name, title, ground }) => {
      const key = `uploads/${name}.jpg`
      const page = { layout: 'tile', key, widths: [240, 480], sizes: '240px', width: 240, height: 240, alt: title }
      const { src, img } = imageSet(cloud.imageUrl, page)
      const size = async (url: string) => Math.round((await (await fetch(url)).arrayBuffer()).byteLength / 1000)
      const [tile, raw] = await Promise.all([size(src), size(`${cloud.imageUrl}/plain/${key}`)])
      const photo = bucket.presign(key, seconds - 60, seconds + 600)
      return `<figure><div class="photo" style="background-image:url('${photo}')"></div><div class="tile" style="background:${ground}">${img}</div>
        <figcaption>${title}<small>WebP, ${tile} kB <s>PNG, ${raw} kB</s></small></figcaption></figure>`
    }),
  )
  const page = await browser.newPage({ viewport: { width: 1080, height: 400 }, deviceScaleFactor: 2 })
  // COS and image URLs of the local cloud answer its own pages only.
  await page.goto(`${cloud.imageUrl}/healthz`)
  await page.setContent(`<style>
    body { margin: 0; padding: 24px; display: grid; grid-template-columns: repeat(4, 240px); gap: 24px; font: 15px/1.4 sans-serif; color: #222; background: #fff }
    figure { margin: 0; position: relative }
    .tile { height: 240px; border-radius: 10px; display: grid; place-items: center }
    .tile img { width: 240px; height: 240px; object-fit: contain }
    .photo { position: absolute; left: 10px; top: 10px; width: 64px; height: 64px; border-radius: 6px; border: 2px solid #fff; background: center / cover; box-shadow: 0 1px 4px #0004 }
    figcaption { padding-top: 10px; font-weight: 600 }
    small { display: block; font-weight: 400; color: #666 } s { color: #999; margin-left: .5em }
  </style>${cards.join('')}`)
  await page.waitForLoadState('networkidle')
  const shot = await page.locator('body').screenshot()
  await sharp(shot)
    .webp({ quality: 88 })
    .toFile(fileURLToPath(new URL('shop.webp', import.meta.url)))

  const local = await browser.newPage({ viewport: { width: 1280, height: 940 }, deviceScaleFactor: 1.5, locale: 'en' })
  await local.goto(cloud.controlUrl)
  await local
    .locator('.ground:not(.working) img[src]')
    .nth(PRODUCTS.length - 1)
    .waitFor()
  await sharp(await local.screenshot())
    .webp({ quality: 82 })
    .toFile(fileURLToPath(new URL('page.webp', import.meta.url)))
} finally {
  await browser.close()
  await cloud.close()
  await rm(data, { recursive: true, force: true })
}
