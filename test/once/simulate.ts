import { setTimeout as sleep } from 'node:timers/promises'
import { type Fault, mulberry32 } from '../../local/faults.ts'
import { startTestCloud, type TestCloud } from '../helpers/cloud.ts'
import { checkBill, checkColours, checkEnds, checkLimit } from './check.ts'
import { drawPhotos, isLate, LATE, type Photo, STORM } from './photos.ts'
import { type Evidence, watch } from './story.ts'
import { type Hold, holds, trouble } from './trouble.ts'
import { createWays, PRESETS, SETTINGS, type Ways } from './ways.ts'

/** What happened with one seed, and what was wrong. */
export interface Report {
  seed: number
  photos: number
  requests: number
  events: number
  ended: number
  faults: Record<string, number>
  paid: number
  cutouts: number
  deadLetters: number
  /** Bound in the table of docs/once.md → how often it was needed. */
  exceptions: Record<string, number>
  problems: string[]
}

const WAVE = 40
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
/** How far the clock may be moved while photos are on their way, in milliseconds. */
const HOPS = [1_000, 7_000, MINUTE, 20 * MINUTE]

/**
 * Simulates promise 1, that one cutout is paid for once. Duplicated, reordered and delayed events and image requests all ask
 * for the cutouts of a photo at the same moment, in many instances of the built functions, while faults are injected by seed.
 * Photos come in all ways, are replaced, deleted and put back. In each wave some are on their way while time passes.
 */
export async function simulate(seed: number, count: number): Promise<Report> {
  const plan = mulberry32(seed)
  // One seed in four has a DAILY_LIMIT, and its run passes midnight. It has few instances and clients, because each of them may
  // exceed the limit once.
  const limit = plan() < 0.25 ? 8 + Math.floor(plan() * 20) : undefined
  const [instances, clients] = limit === undefined ? [8, 24] : [2, 3]
  const settings = {
    ...SETTINGS,
    ON_DELETE: plan() < 0.3 ? 'remove' : 'keep',
    ...(limit !== undefined && { DAILY_LIMIT: String(limit) }),
  }
  const lastModified = plan() < 0.5 ? 'start' : 'end'
  const cloud = await startTestCloud({ instances, retryDelay: 200, timeout: 10, lastModified, environment: settings })
  const watcher = watch(
    {
      requests: async () => cloud.cos.requests(),
      invocations: async () => cloud.scf.invocations(),
      bill: async () => cloud.cos.bill(),
    },
    500,
  )
  try {
    if (limit !== undefined) cloud.clock.advance(2 * DAY - (cloud.clock.now() % DAY) - 15 * MINUTE)
    const random = mulberry32(-seed)
    const skew = () => (random() < 0.5 ? Math.round((random() - 0.5) * 20 * MINUTE) : 0)
    const ways = createWays(cloud, cloud.bucket, settings, skew)
    const run: Run = { cloud, ways, clients, seed, plan, random, requests: 0, faults: {} }
    const photos = await drawPhotos(seed, count)
    for (let from = 0; from < photos.length; from += WAVE) await wave(run, photos.slice(from, from + WAVE))
    const stormy = await watcher.evidence()
    const deadLetters = cloud.scf.deadLetters()
    const problems = await checkEnds(cloud, stormy, deadLetters, photos)

    // Now that no faults strike, nothing that they left behind may block a cutout for longer than a claim lasts.
    cloud.faults.set([])
    cloud.clock.advance(20 * MINUTE)
    let left = photos.flatMap((photo) => PRESETS.map((preset) => ({ photo, preset })))
    // One day that has already begun, and as many as the limit needs.
    for (let days = limit === undefined ? 1 : 1 + Math.ceil(left.length / limit); days > 0 && left.length > 0; days--) {
      const blocked: typeof left = []
      await pool(left, limit === undefined ? 16 : 1, async (one) => {
        const { fate, key } = one.photo
        if (!(await ask(run, `/${one.preset}/${key}`, 4, fate === 'gone' ? 404 : 302))) blocked.push(one)
      })
      left = blocked
      if (limit !== undefined) cloud.clock.advance(DAY)
    }
    for (const { photo, preset } of left) problems.push(`${photo.key} ${preset}: blocked`)
    await cloud.scf.idle()
    const evidence = await watcher.evidence()
    const exceptions: Record<string, number> = {}
    problems.push(...(await checkBill(cloud, evidence, photos, exceptions)))
    problems.push(...(await checkColours(cloud, evidence, photos, exceptions)))
    if (limit !== undefined) problems.push(...(await checkLimit(cloud, evidence, limit, 2 * instances + clients)))
    return {
      ...figures(stormy),
      seed,
      photos: count,
      requests: run.requests,
      faults: run.faults,
      paid: evidence.bill.length,
      cutouts: new Set(evidence.bill.map(({ fileid }) => fileid)).size,
      deadLetters: deadLetters.length,
      exceptions,
      problems,
    }
  } finally {
    watcher.stop()
    await cloud.close()
  }
}

interface Run {
  cloud: TestCloud
  ways: Ways
  clients: number
  seed: number
  /** Random numbers for the plan. They are drawn in the same order whatever happens. */
  plan: () => number
  /** Random numbers for pauses and the like, whose number depends on what happens. */
  random: () => number
  requests: number
  faults: Record<string, number>
}

/** Some photos while faults strike; then others that are on their way while time passes, and go on while faults strike. */
async function wave(run: Run, photos: readonly Photo[]): Promise<void> {
  const { ways, clients, seed, plan } = run
  await storm(run, seed, trouble(plan), () =>
    pool(photos, clients, async (photo) => {
      const { fate } = photo
      if (!isLate(fate)) await visited(run, photo, () => STORM[fate](photo, ways))
    }),
  )
  for (const holding of holds(plan)) {
    const begun = await stopTime(run, photos, holding)
    await storm(run, seed + 1, trouble(plan), () =>
      pool(begun, clients, ({ photo, finish }) => visited(run, photo, finish)),
    )
  }
}

/**
 * Begins the photos of these holds, and moves the clock while they are held and nobody pays. They go on when the next faults
 * are set.
 */
async function stopTime(run: Run, photos: readonly Photo[], holding: readonly Hold[]) {
  const { cloud, ways, plan } = run
  const begun: { photo: Photo; finish: () => Promise<void> }[] = []
  cloud.faults.set(holding.flatMap(({ fault }) => fault ?? []))
  for (const photo of photos) {
    const { fate } = photo
    const held = isLate(fate) && holding.some(({ fates }) => fates.includes(fate))
    if (held) begun.push({ photo, finish: await LATE[fate](photo, ways) })
  }
  const waiting = () =>
    holding.some(({ fault, fates }) => {
      const struck = cloud.faults.list().find(({ on, prefix }) => on === fault?.on && prefix === fault.prefix)?.struck
      return fault && (struck ?? 0) < begun.filter(({ photo: { fate } }) => isLate(fate) && fates.includes(fate)).length
    })
  // The wait is limited, because nothing is held if there is nothing left to be signed or made.
  for (let i = 0; i < 200 && waiting(); i++) await sleep(10)
  cloud.clock.advance(HOPS[Math.floor(plan() * HOPS.length)] ?? 0)
  addStruck(run)
  return begun
}

/** Does the work while these faults strike, and waits until all events have been handled. */
async function storm(run: Run, seed: number, faults: Fault[], work: () => Promise<void>): Promise<void> {
  run.cloud.faults.set(faults, seed)
  await work()
  await run.cloud.scf.idle()
  addStruck(run)
}

/** Does something to a photo while several clients ask for its cutouts. */
async function visited(run: Run, { key }: Photo, act: () => Promise<void>): Promise<void> {
  const { random } = run
  const visits = Array.from({ length: 2 + Math.floor(random() * 3) }, async () => {
    const preset = PRESETS[Math.floor(random() * PRESETS.length)]
    await sleep(random() * 400)
    await ask(run, `/${preset}/${key}`, 6)
  })
  await Promise.all([act(), ...visits])
}

function addStruck({ cloud, faults }: Run): void {
  for (const { on, kind, prefix, struck } of cloud.faults.list()) {
    const name = `${on}${prefix ? ` ${prefix.replace(/^\.matting\/|\/$/g, '')}` : ''} ${kind}`
    faults[name] = (faults[name] ?? 0) + struck
  }
}

/** Asks until the expected status is answered. @returns whether it was */
async function ask(run: Run, path: string, tries: number, expected = 302): Promise<boolean> {
  for (let i = 0; i < tries; i++) {
    run.requests++
    const { status } = await run.cloud.image(path)
    if (status === expected) return true
    if (status === 429) return false
    await sleep(200 + run.random() * 300)
  }
  return false
}

function figures({ invocations }: Evidence): { events: number; ended: number } {
  return {
    events: invocations.filter((run) => run.function === 'upload').length,
    ended: invocations.filter(({ outcome }) => outcome === 'crash' || outcome === 'timeout').length,
  }
}

async function pool<T>(items: readonly T[], size: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: size }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}
