import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { imageUrl } from '../../lib/access.ts'
import { createCos } from '../../lib/cos.ts'
import { BUCKET, CREDENTIALS, REGION, startCloud } from '../../local/cloud.ts'
import { drawSample } from '../../local/sample.ts'
import { median } from './sign.ts'

const PROGRAM = fileURLToPath(new URL('warm.mjs', import.meta.url))
const SECRET = 'sixteen-characters-and-more'

/** Prints the CPU time of a hit in an instance that knows the cutout, and that of a handler that only returns such an answer. */
export async function benchWarm(): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'bench-'))
  const cloud = await startCloud({ port: 0, data, workers: 1 })
  const { secretId, secretKey } = CREDENTIALS
  const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cloud.cosUrl }
  const role = { TENCENTCLOUD_SECRETID: secretId, TENCENTCLOUD_SECRETKEY: secretKey }
  try {
    const [now, random] = [Date.now, Math.random]
    const bucket = createCos({
      endpoint: cloud.cosUrl,
      credentials: CREDENTIALS,
      deadline: now() + 60_000,
      now,
      random,
    })
    await bucket.put('uploads/mug.jpg', (await drawSample('mug')).jpeg, { type: 'image/jpeg' })
    await cloud.scf.idle()
    const expires = Math.floor(now() / 1000) + 3600
    const urlOf = (layout: string) =>
      imageUrl(cloud.imageUrl, { layout, key: 'uploads/mug.jpg', expires }, 'key', SECRET)
    const PRESETS = 'card: width 400, format webp, trim 1'
    const ways = [
      { access: { ACCESS: 'presets', PRESETS }, layouts: ['plain', 'card'] },
      {
        access: { ACCESS: 'signed', URL_KEYS: `key:${SECRET}` },
        layouts: ['plain', 'plain,width=400,format=webp,trim=1'],
      },
    ]
    for (const { access, layouts } of ways) {
      for (const delivery of [{ DELIVERY_KEY: `${secretId}:${secretKey}` }, { DELIVERY_URL: 'https://cdn.example' }]) {
        const env = { ...place, ...role, ...access, ...delivery }
        for (const layout of layouts) {
          const args = [PROGRAM, urlOf(layout), cloud.controlUrl]
          const { stdout } = await promisify(execFile)(process.execPath, args, { env })
          const { warm, bare, answer, calls } = JSON.parse(stdout)
          const [here, nothing] = [median(warm), median(bare)]
          const setting = `${access.ACCESS}, ${Object.keys(delivery)[0]}, ${layout}`
          console.log(
            `warm hit        ${here.toFixed(1)} µs of CPU (${setting}): ${(here / nothing).toFixed(0)} times a bare handler's ${nothing.toFixed(2)} µs; ${answer}, ${calls} COS calls`,
          )
        }
      }
    }
  } finally {
    await cloud.close()
    await rm(data, { recursive: true })
  }
}
