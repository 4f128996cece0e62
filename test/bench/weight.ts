// Prints the seconds (median) and the peak memory of a process that cuts out a drawn scene of so many pixels a side, or that
// only decodes and encodes it: tsx test/bench/weight.ts cut|plain SIDE RUNS
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { cut } from '../../local/matte/cut.ts'
import { scenes } from '../matte/scenes.ts'

const [kind, side = '1200', runs = '5'] = process.argv.slice(2)

/** Each measured in a process of its own, for a peak is one of a process. */
export async function benchWeight(): Promise<void> {
  console.log('\nseconds and peak memory of a process, beside decoding and encoding alone')
  for (const [side, runs] of [
    ['1200', '9'],
    ['4900', '3'],
  ] as const) {
    for (const kind of ['cut', 'plain']) {
      const args = ['--import', 'tsx', new URL(import.meta.url).pathname, kind, side, runs]
      const { stdout } = await promisify(execFile)(process.execPath, args)
      console.log(`${`${side}x${side}`.padEnd(10)} ${kind.padEnd(6)} ${stdout.trim()}`)
    }
  }
}

async function weigh(kind: string, side: number, runs: number): Promise<void> {
  sharp.cache(false)
  sharp.concurrency(1)
  const photo = await drawn(side)
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    if (kind === 'cut') await cut(photo, [{ center: false, dx: 0, dy: 0 }])
    else await decodeAndEncode(photo)
    times.push((performance.now() - start) / 1000)
  }
  const middle = times.toSorted((a, b) => a - b)[runs >> 1] ?? 0
  console.log(`${middle.toFixed(2)} s  ${(process.resourceUsage().maxRSS / 1000).toFixed(0)} MB`)
}

/** Drawn small and enlarged: to draw it large would take more memory than all else. */
async function drawn(side: number): Promise<Buffer> {
  const { photo } = (await scenes('tune')[0]?.draw([600, 600])) ?? {}
  return sharp(photo).resize(side, side).jpeg({ quality: 90 }).toBuffer()
}

async function decodeAndEncode(photo: Buffer): Promise<void> {
  const { data, info } = await sharp(photo).ensureAlpha().raw().toBuffer({ resolveWithObject: true })
  const { width, height } = info
  await sharp(data, { raw: { width, height, channels: 4 } })
    .png({ compressionLevel: 6 })
    .toUint8Array()
}

if (kind === 'cut' || kind === 'plain') await weigh(kind, Number(side), Number(runs))
