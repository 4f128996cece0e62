import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import { createMatte } from '../../local/matte/matte.ts'
import { drawSample, SAMPLES } from '../../local/sample.ts'

const RUNS = 5

/**
 * Prints how long a cutout takes (warm, one worker) and how close it is to the true alpha, for the samples and
 * `photos/*.jpg`.
 */
export async function benchMatte(photos: string | undefined): Promise<void> {
  const matte = createMatte({ workers: 1 })
  const measure = async (name: string, jpeg: Buffer, truth: Buffer | undefined) => {
    const times: number[] = []
    let png: Buffer = Buffer.alloc(0)
    for (let run = 0; run <= RUNS; run++) {
      const start = performance.now()
      const [cutout] = await matte.cut(jpeg, [{ center: false, dx: 0, dy: 0 }])
      if (run > 0) times.push(performance.now() - start)
      if (cutout) png = cutout.png
    }
    const { width, height } = await sharp(png).metadata()
    const ms = times.toSorted((a, b) => a - b)[RUNS >> 1] ?? 0
    const scores = truth ? await compare(png, truth) : ''
    console.log(`${name.padEnd(22)} ${`${width}x${height}`.padEnd(11)} ${ms.toFixed(0).padStart(5)} ms  ${scores}`)
  }
  try {
    for (const name of SAMPLES) {
      const { jpeg, alpha } = await drawSample(name)
      await measure(name, jpeg, alpha)
    }
    for (const file of photos ? (await readdir(photos)).filter((file) => file.endsWith('.jpg')).sort() : []) {
      const path = join(photos ?? '', file)
      const truth = await readFile(path.replace(/\.jpg$/, '.alpha.png')).catch(() => undefined)
      await measure(file, await readFile(path), truth)
    }
  } finally {
    await matte.close()
  }
}

async function compare(png: Buffer, truth: Buffer): Promise<string> {
  const got = await sharp(png).extractChannel('alpha').raw().toBuffer()
  const want = await sharp(truth).toColourspace('b-w').extractChannel(0).raw().toBuffer()
  let both = 0
  let either = 0
  let off = 0
  got.forEach((a, i) => {
    const b = want[i] ?? 0
    if (a > 127 && b > 127) both++
    if (a > 127 || b > 127) either++
    off += Math.abs(a - b)
  })
  return `IoU ${(both / either).toFixed(4)}  mean |alpha error| ${(off / got.length / 255).toFixed(5)}`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await benchMatte(process.argv[2])
