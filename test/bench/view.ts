import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { createCos } from '../../lib/cos.ts'
import { CREDENTIALS, startCloud } from '../../local/cloud.ts'
import { drawSample } from '../../local/sample.ts'
import { median } from './sign.ts'

const RUNS = 21

/** Prints the time of a view of a cutout from the local COS, and that of sharp alone for the same pixels. */
export async function benchView(): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'bench-'))
  const cloud = await startCloud({ port: 0, data, workers: 1 })
  try {
    const { jpeg, alpha } = await drawSample('mug')
    const cutout = await sharp(jpeg)
      .resize(1200, 1200)
      .joinChannel(await sharp(alpha).resize(1200, 1200).toBuffer())
      .png()
      .toBuffer()
    const seconds = Math.floor(Date.now() / 1000)
    const now = Date.now
    const bucket = createCos({
      endpoint: cloud.cosUrl,
      credentials: CREDENTIALS,
      deadline: now() + 60_000,
      now,
      random: Math.random,
    })
    await bucket.put('cutouts/mug.png', cutout, { type: 'image/png' })
    const query = { 'imageMogr2/thumbnail/400x/format/webp/quality/80': '' }
    const url = bucket.presign('cutouts/mug.png', seconds - 60, seconds + 600, { query })
    const [local, alone]: [number[], number[]] = [[], []]
    for (let run = 0; run <= RUNS; run++) {
      const start = performance.now()
      await (await fetch(url)).arrayBuffer()
      const middle = performance.now()
      await sharp(cutout).resize(400).webp({ quality: 80 }).toBuffer()
      // The first run compiles.
      if (run > 0) local.push(middle - start)
      if (run > 0) alone.push(performance.now() - middle)
    }
    const [ms, bare] = [median(local), median(alone)]
    console.log(
      `view            ${ms.toFixed(1)} ms (1200x1200 PNG as 400-pixel WebP): ${(ms / bare).toFixed(2)} times sharp's ${bare.toFixed(1)} ms`,
    )
  } finally {
    await cloud.close()
    await rm(data, { recursive: true })
  }
}
