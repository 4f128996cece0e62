import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { createCos } from '../../lib/cos.ts'
import { CREDENTIALS, startCloud } from '../../local/cloud.ts'
import { drawSample } from '../../local/sample.ts'
import { median } from './sign.ts'

const PAIRS = 5
const PHOTOS = 200

/** What it takes to cut out photos while somebody watches the page's stream, over what it takes while nobody does. */
export async function benchLive(): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'live-'))
  const cloud = await startCloud({ port: 0, data, retryDelay: 1_000 })
  const time = { deadline: Number.POSITIVE_INFINITY, now: Date.now, random: Math.random }
  const bucket = createCos({ endpoint: cloud.cosUrl, credentials: CREDENTIALS, ...time })
  // Small, so that what is measured is not the engine.
  const jpeg = await sharp((await drawSample('mug')).jpeg)
    .resize(80)
    .jpeg()
    .toBuffer()
  let count = 0
  async function run(): Promise<{ wall: number; cpu: number }> {
    await cloud.reset(['upload', 'image'])
    const [start, before] = [performance.now(), process.cpuUsage()]
    const next = async () => {
      for (let i = 0; i < PHOTOS / 8; i++) {
        // What follows the end of a JPEG is not shown, but makes another photo.
        const body = Buffer.concat([jpeg, Buffer.from(String(++count))])
        await bucket.put(`uploads/${count}.jpg`, body, { type: 'image/jpeg' })
      }
    }
    await Promise.all(Array.from({ length: 8 }, next))
    await cloud.scf.idle()
    const { user, system } = process.cpuUsage(before)
    return { wall: performance.now() - start, cpu: (user + system) / 1000 }
  }
  /** Another process, as a browser is. */
  async function watched<T>(work: () => Promise<T>): Promise<T> {
    const code = `fetch('${cloud.controlUrl}/api/live').then(async ({ body }) => { console.log('open'); for await (const _ of body); })`
    const reader = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(reader.stdout, 'data')
    const result = await work()
    reader.kill()
    await once(reader, 'close')
    return result
  }
  await run()
  const pairs: { wall: number; cpu: number }[] = []
  for (let i = 0; i < PAIRS; i++) {
    const first = i % 2 === 0 ? await run() : await watched(run)
    const second = i % 2 === 0 ? await watched(run) : await run()
    const [closed, open] = i % 2 === 0 ? [first, second] : [second, first]
    pairs.push({ wall: open.wall / closed.wall, cpu: open.cpu / closed.cpu })
  }
  const text = (name: 'wall' | 'cpu') =>
    `${median(pairs.map((pair) => pair[name])).toFixed(3)} (${pairs.map((pair) => pair[name].toFixed(2)).join(', ')})`
  console.log(`page open       ${PHOTOS} uploads over those with it closed: time ${text('wall')}, CPU ${text('cpu')}`)
  await cloud.close()
  await rm(data, { recursive: true, force: true })
}
