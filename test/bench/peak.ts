import { execFileSync } from 'node:child_process'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { cut } from '../../local/matte/cut.ts'
import { drawSample } from '../../local/sample.ts'

const SIZES = [
  [1200, 1200],
  [6000, 4000],
] as const

/** Prints the time and the peak memory of a cutout, each in a process of its own, beside decoding and encoding alone. */
export async function benchPeak(): Promise<void> {
  const { jpeg } = await drawSample('mug')
  for (const [width, height] of SIZES) {
    const input = await sharp(jpeg).resize(width, height, { fit: 'fill' }).jpeg().toBuffer()
    const [cutout, alone] = ['cut', 'alone'].map((what) => {
      const args = ['--import', 'tsx', fileURLToPath(import.meta.url), what]
      const { ms, peak } = Object(JSON.parse(execFileSync(process.execPath, args, { input, encoding: 'utf8' })))
      return `${(Number(ms) / 1000).toFixed(2)} s, peak ${Math.round(Number(peak))} MB`
    })
    console.log(`${`${width}x${height}`.padEnd(15)} cut out ${cutout}; decoded and encoded alone ${alone}`)
  }
}

async function measure(what: string): Promise<void> {
  // As in a worker of the engine.
  sharp.cache(false)
  sharp.concurrency(1)
  const work = async (image: Buffer) => {
    if (what === 'cut') return void (await cut(image, [{ center: false, dx: 0, dy: 0 }]))
    const { data, info } = await sharp(image).ensureAlpha().raw().toBuffer({ resolveWithObject: true })
    await sharp(data, { raw: info }).png({ compressionLevel: 6 }).toBuffer()
  }
  const image = await buffer(process.stdin)
  const warm = await sharp({ create: { width: 300, height: 300, channels: 3, background: '#ccc' } })
    .jpeg()
    .toBuffer()
  for (let i = 0; i < 10; i++) await work(warm)
  const start = performance.now()
  await work(image)
  console.log(JSON.stringify({ ms: performance.now() - start, peak: process.resourceUsage().maxRSS / 1024 }))
}

const [, script, what] = process.argv
if (script === fileURLToPath(import.meta.url)) await measure(what ?? '')
