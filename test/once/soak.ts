// npm run soak [-- --photos 5000 --seed 1]: uploads as fast as the local cloud takes them, with faults of every kind at one
// percent. Every photo must be accounted for, announced with one id, paid for once; memory must stay flat.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { Webhook } from 'standardwebhooks'
import { createCos } from '../../lib/cos.ts'
import { CREDENTIALS } from '../../local/cloud.ts'
import type { Fault } from '../../local/faults.ts'

const { values } = parseArgs({
  options: { photos: { type: 'string', default: '5000' }, seed: { type: 'string', default: '1' } },
})
const photos = Number(values.photos)
const SECRET = `whsec_${Buffer.alloc(24, 'local-secret').toString('base64')}`
const rate = 0.01
const FAULTS: Fault[] = [
  ...(['error', 'slow-down', 'reset', 'lose-answer'] as const).map((kind) => ({ on: '*', kind, rate })),
  ...(['error-in-200', 'drop-result', 'kill', 'reset', 'error'] as const).map((kind) => ({
    on: 'GoodsMatting',
    kind,
    rate,
  })),
  { on: 'PutObject', prefix: '.matting/claims/', kind: 'race', ms: 20, rate },
  { on: 'PutObject', prefix: '.matting/', kind: 'kill', rate },
  { on: 'Event', kind: 'duplicate', rate },
  { on: 'Event', kind: 'delay', ms: 2_000, rate },
  { on: 'Instance', kind: 'skew', ms: 120_000, rate },
]

/** Id → its type and the photo's key, of events that were rightly signed. One in a hundred is answered with 503, or not at all. */
const told = new Map<string, { type: string; key: string }>()
let deliveries = 0
const receiver = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  const event = Object(new Webhook(SECRET).verify(body, Object(request.headers)))
  if (++deliveries % 100 === 50) return void response.writeHead(503).end()
  told.set(event.id, { type: event.type, key: event.data.source.key })
  if (deliveries % 100 === 99) return void request.destroy()
  response.writeHead(204).end()
})
receiver.listen(0, '127.0.0.1')
await once(receiver, 'listening')

const data = await mkdtemp(join(tmpdir(), 'soak-'))
const environment = {
  EVENTS_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
  EVENTS_SECRET: SECRET,
}
const child = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    fileURLToPath(new URL('victim.ts', import.meta.url)),
    data,
    JSON.stringify({ environment, instances: 8 }),
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const [line] = await once(child.stdout, 'data')
const { cosUrl, controlUrl } = JSON.parse(String(line))
const api = async (method: string, path: string, body?: unknown) => {
  const answer = await fetch(`${controlUrl}/api/${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return Object(await answer.json())
}
const bucket = createCos({
  endpoint: cosUrl,
  credentials: CREDENTIALS,
  deadline: Number.POSITIVE_INFINITY,
  now: Date.now,
  random: Math.random,
})

const samples: string[] = []
let sampled = 0
/** Resident memory of a process, in megabytes. */
async function memory(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Math.round(Number(/VmRSS:\s*(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}

async function sample(): Promise<void> {
  sampled = Date.now()
  samples.push(`${await memory(child.pid)}/${await memory(process.pid)}`)
}

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of bucket.list(prefix)) found.push(key)
  return found
}

/** Until nothing was delivered to a function for a while; meanwhile memory is watched. */
async function quiet(): Promise<void> {
  for (let still = 0, last = -1; still < 20; ) {
    await sleep(500)
    if (Date.now() - sampled > 20_000) await sample()
    const { events, deadLetters } = await api('GET', 'waiting')
    still = events === 0 && deadLetters === last ? still + 1 : 0
    last = deadLetters
  }
}

const began = Date.now()
const jpeg = await sharp({ create: { width: 40, height: 30, channels: 3, background: 'white' } })
  .composite([
    {
      input: await sharp({ create: { width: 10, height: 10, channels: 3, background: 'teal' } })
        .png()
        .toBuffer(),
    },
  ])
  .jpeg()
  .toBuffer()
await api('PUT', 'faults', { faults: FAULTS, seed: Number(values.seed) })
const names = Array.from({ length: photos }, (_, i) => `uploads/${i}.jpg`)
const waiting = [...names.entries()]
await Promise.all(
  Array.from({ length: 16 }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [i, key] = next
      // What stands behind the end of a JPEG makes another photo of it.
      const body = Buffer.concat([jpeg, Buffer.from(`${values.seed}-${i}`)])
      for (;;) {
        const done = await bucket.put(key, body, { type: 'image/jpeg' }).catch(() => false)
        if (done) break
      }
    }
  }),
)
const uploaded = Date.now()
await quiet()
const faults: (Fault & { struck: number })[] = await api('GET', 'faults')
await sample()
const letters = (await api('GET', 'dead-letters')).length
const before = new Set((await keys('cutouts/')).map(photoOf))
const lost = names.filter((key) => !before.has(key))

// With the trouble over, the dead letters are delivered again.
await api('PUT', 'faults', [])
const replayed = await api('POST', 'dead-letters/replay')
await quiet()
const cutouts = await keys('cutouts/')
const { items } = await api('GET', 'bill')
const created = new Map<string, number>()
for (const { type, key } of told.values()) if (type === 'cutout.created') created.set(key, (created.get(key) ?? 0) + 1)
// What CI billed and did not store has to be paid again.
const dropped = items.filter(({ outcome }: { outcome: string }) => outcome === 'dropped').length
child.kill('SIGTERM')
receiver.close().closeAllConnections()
await rm(data, { recursive: true, force: true })

console.log(
  `${photos} photos put in ${((uploaded - began) / 1000).toFixed(0)} s, all done after ${((Date.now() - began) / 1000).toFixed(0)} s`,
)
console.log(`faults that struck: ${faults.map(({ on, kind, struck }) => `${on} ${kind} ${struck}`).join(', ')}`)
console.log(
  `dead letters ${letters} (${lost.length} photos without a cutout then), replayed ${JSON.stringify(replayed)}`,
)
console.log(`cutouts ${cutouts.length}, paid ${items.length}, of them results that CI dropped ${dropped}`)
console.log(`announcements ${deliveries}, distinct ${told.size}`)
console.log(`memory (cloud with all instances/uploader, MB): ${samples.join(' ')}`)
const problems = [
  cutouts.length === photos ? '' : `${photos - cutouts.length} photos have no cutout`,
  names.every((key) => created.get(key) === 1) ? '' : 'not every photo was announced with one id',
  items.length - dropped === photos ? '' : `${items.length - dropped - photos} calls paid too many`,
].filter(Boolean)
for (const problem of problems) console.error(`WRONG: ${problem}`)
process.exit(problems.length === 0 ? 0 : 1)

function photoOf(cutout: string): string {
  return cutout.replace(/^cutouts\/(.*)\/[^/]*$/, '$1')
}
