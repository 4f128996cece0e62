import sharp from 'sharp'
import { readReceipts } from '../../lib/pay/receipt.ts'
import type { BillItem } from '../../local/cos/cos.ts'
import { type Fault, mulberry32 } from '../../local/faults.ts'
import { startTestCloud, type TestCloud } from '../helpers/cloud.ts'

/** What one seed did, and what it found wrong. */
export interface Report {
  seed: number
  photos: number
  requests: number
  events: number
  invocations: number
  ended: number
  faults: Record<string, number>
  paid: number
  cutouts: number
  deadLetters: number
  problems: string[]
}

const LAYOUTS = ['plain', 'card']
const INSTANCES = 8
const CLAIM_TIME = 6

/**
 * Promise 1 under fire: every photo is hit at the same moment by duplicated, reordered and delayed events and by image URLs, on
 * the built functions in 16 instances, while faults are injected by seed.
 */
export async function simulate(seed: number, photos: number): Promise<Report> {
  const random = mulberry32(seed)
  const cloud = await startTestCloud({
    instances: INSTANCES,
    retryDelay: 200,
    timeout: 10,
    environment: {
      CLAIM_TIME: String(CLAIM_TIME),
      PRESETS: 'plain=; card=center-layout=1&padding-layout=4x4',
      ON_UPLOAD: 'uploads/=plain,card',
    },
  })
  try {
    cloud.faults.set(trouble(random), seed)
    let requests = 0
    const ask = async (path: string, tries: number) => {
      for (let i = 0; i < tries; i++) {
        requests++
        const { status } = await cloud.image(path)
        if (status === 302) return true
        await pause(200 + random() * 300)
      }
      return false
    }
    const names = Array.from({ length: photos }, (_, i) => `uploads/${seed}-${i}.jpg`)
    await pool(names, 24, async (name, i) => {
      const body = await tiny(i)
      const visits = Array.from({ length: 2 + Math.floor(random() * 3) }, async () => {
        await pause(random() * 400)
        await ask(`/${LAYOUTS[Math.floor(random() * LAYOUTS.length)]}/${name}`, 12)
      })
      await put(cloud, name, body)
      await Promise.all(visits)
    })
    await cloud.scf.idle()
    const faults = countFaults(cloud)
    const problems = await unaccounted(cloud, names)
    const deadLetters = cloud.scf.deadLetters().length

    // With the trouble over, nothing that it left behind may keep anybody from a cutout.
    cloud.faults.set([])
    await pool(names, 16, async (name) => {
      for (const layout of LAYOUTS) {
        if (!(await ask(`/${layout}/${name}`, 4))) problems.push(`${name} ${layout}: blocked`)
      }
    })
    await cloud.scf.idle()
    const bill = cloud.cos.bill()
    problems.push(...(await checkBill(cloud, bill, names)))
    return {
      seed,
      photos,
      requests,
      events: cloud.scf.invocations().filter((run) => run.function === 'upload').length,
      invocations: cloud.scf.invocations().length,
      ended: cloud.scf.invocations().filter((run) => run.outcome === 'crash' || run.outcome === 'timeout').length,
      faults,
      paid: bill.length,
      cutouts: new Set(bill.map(({ fileid }) => fileid)).size,
      deadLetters,
      problems,
    }
  } finally {
    await cloud.close()
  }
}

/** A mix of everything that can go wrong, another for each seed. */
function trouble(random: () => number): Fault[] {
  const claims = '.matting/claims/'
  const some = (most: number) => random() * most
  // A call whose answer and whose last result are both lost cannot be told from its receipt: one or the other.
  const lossy: Fault[] =
    random() < 0.3
      ? [{ on: 'GoodsMatting', kind: 'drop-result', rate: some(0.05) }]
      : [
          { on: 'GoodsMatting', kind: 'lose-answer', rate: some(0.1) },
          { on: 'GoodsMatting', kind: 'kill', rate: some(0.06) },
        ]
  return [
    ...lossy,
    { on: 'GoodsMatting', kind: 'reset', rate: some(0.06) },
    { on: 'GoodsMatting', kind: 'error', rate: some(0.06) },
    { on: 'GoodsMatting', kind: 'error-in-200', rate: some(0.03) },
    { on: 'GoodsMatting', kind: 'slow-down', rate: some(0.3) },
    { on: 'GoodsMatting', kind: 'delay', ms: 2_500, rate: some(0.05) },
    { on: 'GoodsMatting', kind: 'delay', ms: 400, rate: some(0.5) },
    { on: 'PutObject', prefix: claims, kind: 'kill', rate: some(0.05) },
    { on: 'PutObject', prefix: claims, kind: 'lose-answer', rate: some(0.1) },
    { on: 'PutObject', prefix: claims, kind: 'error', rate: some(0.1) },
    { on: 'PutObject', prefix: '.matting/receipts/', kind: 'kill', rate: some(0.03) },
    { on: 'PutObject', prefix: '.matting/receipts/', kind: 'lose-answer', rate: some(0.1) },
    { on: 'HeadObject', kind: 'error', rate: some(0.05) },
    { on: 'HeadObject', kind: 'reset', rate: some(0.05) },
    { on: 'GetObject', kind: 'reset', rate: some(0.05) },
    { on: 'Event', kind: 'duplicate', rate: 0.3 + some(0.5) },
    { on: 'Event', kind: 'delay', ms: 300, rate: some(0.6) },
    { on: 'Instance', kind: 'skew', ms: 600_000, rate: 0.25 },
    { on: 'Instance', kind: 'skew', ms: -600_000, rate: 0.25 },
  ]
}

/** Photos that have ended in nothing: neither all cutouts, nor a failure in the log, nor a dead letter. */
async function unaccounted(cloud: TestCloud, names: readonly string[]): Promise<string[]> {
  const keys = await cloud.keys('cutouts/')
  const letters = JSON.stringify(cloud.scf.deadLetters())
  const logs = cloud.scf
    .invocations()
    .flatMap((run) => run.logs)
    .filter((line) => line.includes('"failed"'))
    .join('\n')
  return names
    .filter((name) => keys.filter((key) => key.startsWith(`cutouts/${name}/`)).length < LAYOUTS.length)
    .filter((name) => !letters.includes(name) && !logs.includes(name))
    .map((name) => `${name}: lost`)
}

async function checkBill(cloud: TestCloud, bill: readonly BillItem[], names: readonly string[]): Promise<string[]> {
  const problems: string[] = []
  const claims = await cloud.keys('.matting/claims/')
  const cutouts = await cloud.keys('cutouts/')
  if (cutouts.length !== names.length * LAYOUTS.length)
    problems.push(`${cutouts.length} cutouts for ${names.length} photos`)
  for (const cutout of cutouts) {
    const items = bill.filter(({ fileid }) => fileid === cutout)
    const done = items.filter(({ outcome }) => outcome !== 'dropped').length
    const attempts = claims.filter((key) => key.startsWith(`.matting/claims/${cutout}/`)).length
    if (done !== 1) problems.push(`${cutout}: paid ${done} times: ${JSON.stringify(items)}`)
    if (items.length > attempts) problems.push(`${cutout}: paid ${items.length} times on ${attempts} claims`)
  }
  const days = new Set(bill.map(({ at }) => at.slice(0, 10)))
  const receipts = (await Promise.all([...days].map((day) => readReceipts(cloud.bucket, day)))).flat()
  const receipted = receipts.reduce((sum, { billed }) => sum + billed, 0)
  if (receipted !== bill.length) {
    problems.push(`receipts say ${receipted} paid calls, the bill ${bill.length}`)
    for (const item of bill) {
      const own = receipts.filter(({ receipt }) => receipt.cutouts.includes(item.fileid))
      if (own.reduce((sum, { billed }) => sum + billed, 0) === 0) problems.push(JSON.stringify({ item, own }))
    }
  }
  return problems
}

function countFaults(cloud: TestCloud): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { on, kind, prefix, struck } of cloud.faults.list()) {
    const name = `${on}${prefix ? ` ${prefix.replace(/^\.matting\/|\/$/g, '')}` : ''} ${kind}`
    counts[name] = (counts[name] ?? 0) + struck
  }
  return counts
}

/** Its own put can be struck, too: until it is answered the photo is not accepted. */
async function put(cloud: TestCloud, key: string, body: Buffer): Promise<void> {
  for (;;) {
    try {
      await cloud.bucket.put(key, body, { type: 'image/jpeg' })
      return
    } catch {
      await pause(50)
    }
  }
}

function tiny(i: number): Promise<Buffer> {
  const colour = `hsl(${(i * 47) % 360} 80% ${25 + (i % 30)}%)`
  const svg = `<svg width="64" height="48"><rect width="64" height="48" fill="#e4e4e6"/><circle cx="30" cy="24" r="14" fill="${colour}"/></svg>`
  return sharp(Buffer.from(svg)).jpeg().toBuffer()
}

async function pool<T>(items: readonly T[], size: number, work: (item: T, i: number) => Promise<void>): Promise<void> {
  const queue = items.entries()
  await Promise.all(
    Array.from({ length: size }, async () => {
      for (const [i, item] of queue) await work(item, i)
    }),
  )
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
