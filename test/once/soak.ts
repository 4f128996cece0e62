// npm run soak [-- --photos 5000 --seed 1]: uploads photos in all ways, as fast as the local cloud accepts them, while each
// kind of fault strikes one request in a hundred. Every photo must be accounted for, and every cutout announced with one id
// and paid for once. The memory it prints must not grow.
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
import { Webhook } from 'standardwebhooks'
import { layoutName } from '../../lib/layout.ts'
import type { RequestRecord } from '../../local/cos/cos.ts'
import { type Fault, mulberry32 } from '../../local/faults.ts'
import { openBucket } from '../helpers/cloud.ts'
import { md5 } from '../helpers/uploads.ts'
import { checkBill, checkColours, type Exceptions } from './check.ts'
import { drawPhotos, isLate, LATE, type Photo, STORM } from './photos.ts'
import { watch } from './story.ts'
import { createWays, LAYOUTS, SETTINGS } from './ways.ts'

const { values } = parseArgs({
  options: { photos: { type: 'string', default: '5000' }, seed: { type: 'string', default: '1' } },
})
const [count, seed] = [Number(values.photos), Number(values.seed)]
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
  // These make uploads slow, and freeze whoever claims, signs or pays.
  { on: 'PutObject', prefix: 'uploads/lazy-', kind: 'delay', ms: 9_000, rate: 0.5 },
  { on: 'PutObject', prefix: '.matting/', kind: 'delay', ms: 7_000, rate },
]
/** The longest that a slow body takes, in milliseconds; more than a claim lasts. */
const SLOW = 10_000

/** Id of an event → its type and what it is about. One delivery in a hundred is answered 503, and one is not answered. */
const told = new Map<string, string>()
let deliveries = 0
const receiver = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  const event = Object(new Webhook(SECRET).verify(body, Object(request.headers)))
  if (++deliveries % 100 === 50) return void response.writeHead(503).end()
  const { source, layout } = event.data
  told.set(event.id, [event.type, source.key, source.etag, layout].join())
  if (deliveries % 100 === 99) return void request.destroy()
  response.writeHead(204).end()
})
receiver.listen(0, '127.0.0.1')
await once(receiver, 'listening')

const data = await mkdtemp(join(tmpdir(), 'soak-'))
const environment = {
  ...SETTINGS,
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
    JSON.stringify({ environment, instances: 8, lastModified: seed % 2 === 0 ? 'start' : 'end' }),
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
const place = { cosUrl, clock: { now: Date.now } }
const bucket = openBucket(place)
const random = mulberry32(seed)
const ways = createWays(place, bucket.bucket, SETTINGS, () => (random() - 0.5) * 240_000)
const watcher = watch(
  {
    // Only what writes is kept; GET and HEAD requests are too many.
    requests: async () =>
      (await api('GET', 'requests')).filter(({ method }: RequestRecord) => method !== 'GET' && method !== 'HEAD'),
    invocations: () => api('GET', 'invocations'),
    bill: async () => (await api('GET', 'bill')).items,
  },
  5_000,
)

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

/** Waits until no event was handled for ten seconds, and measures memory meanwhile. */
async function quiet(): Promise<void> {
  for (let still = 0, last = -1; still < 20; ) {
    await sleep(500)
    if (Date.now() - sampled > 20_000) await sample()
    const { events, deadLetters } = await api('GET', 'waiting')
    still = events === 0 && deadLetters === last ? still + 1 : 0
    last = deadLetters
  }
}

const photos = await drawPhotos(seed, count)
const began = Date.now()
await api('PUT', 'faults', { faults: FAULTS, seed })
const waiting = [...photos]
const slow: Promise<void>[] = []
await Promise.all(
  Array.from({ length: 16 }, async () => {
    for (let photo = waiting.shift(); photo; photo = waiting.shift()) await put(photo)
  }),
)
await Promise.all(slow)
const uploaded = Date.now()
await quiet()
const faults: (Fault & { struck: number })[] = await api('GET', 'faults')
await sample()
const letters = (await api('GET', 'dead-letters')).length
const there = await bucket.keys('cutouts/')

// Now that no faults strike, the dead letters are delivered again.
await api('PUT', 'faults', [])
const replayed = await api('POST', 'dead-letters/replay')
await quiet()
const evidence = await watcher.evidence()
watcher.stop()
const exceptions: Exceptions = {}
const problems = [
  ...(await checkBill(bucket, evidence, photos, exceptions)),
  ...(await checkColours(bucket, evidence, photos, exceptions)),
]
const cutouts = (await bucket.keys('cutouts/')).length
const created = new Map<string, number>()
for (const text of told.values()) created.set(text, (created.get(text) ?? 0) + 1)
for (const { key, body, fate } of photos) {
  const texts = LAYOUTS.map((layout) => ['cutout.created', key, md5(body), layoutName(layout)].join())
  if (fate !== 'gone' && !texts.every((text) => created.get(text) === 1))
    problems.push(`${key}: its cutouts were not each announced with one id`)
}
child.kill('SIGTERM')
receiver.close().closeAllConnections()
await rm(data, { recursive: true, force: true })

const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(0)
console.log(
  `${count} photos put in ${seconds(began, uploaded)} s, everything done after ${seconds(began, Date.now())} s`,
)
console.log(`faults that struck: ${faults.map(({ on, kind, struck }) => `${on} ${kind} ${struck}`).join(', ')}`)
console.log(`dead letters ${letters} (${there.length} cutouts then), replayed ${JSON.stringify(replayed)}`)
console.log(
  `cutouts ${cutouts}, paid ${evidence.bill.length}; further calls, as docs/once.md allows: ${JSON.stringify(exceptions)}`,
)
console.log(`announcements ${deliveries}, distinct ${told.size}`)
console.log(`memory (cloud with all instances/uploader, MB): ${samples.join(' ')}`)
for (const problem of problems) console.error(`WRONG: ${problem}`)
process.exit(problems.length === 0 ? 0 : 1)

/** Puts a photo. One that takes long does not delay the others. */
async function put(photo: Photo): Promise<void> {
  const { fate } = photo
  if (!isLate(fate)) return STORM[fate](photo, ways)
  const finish = await LATE[fate](photo, ways).catch(() => () => ways.put(photo.key, photo.body))
  slow.push(sleep(SLOW * photo.random()).then(finish))
}
