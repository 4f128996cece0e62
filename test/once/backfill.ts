// npm run prove:backfill [-- --plan 200000 --run 5000 --via 20000]: a plan of many objects of which few are missing, the run that
// makes those, killed three times on its way; and many photos handed to the function while every kind of fault strikes.
// A plan must say what is then paid, every cutout must be paid for once, nothing may be lost, and memory must not grow.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cutoutKey } from '../../lib/cutout.ts'
import { plain } from '../../lib/layout.ts'
import type { Fault } from '../../local/faults.ts'
import { onPorts, photo, startTestCloud, type TestCloud } from '../helpers/cloud.ts'
import { createSeed } from '../helpers/seed.ts'
import { trivial } from '../helpers/trivial.ts'

const { values } = parseArgs({
  options: {
    plan: { type: 'string', default: '200000' },
    run: { type: 'string', default: '5000' },
    via: { type: 'string', default: '20000' },
  },
})
const [PLAN, RUN, VIA] = [Number(values.plan), Number(values.run), Number(values.via)]
/** Paid requests a second, as many as the engine of this machine can do. */
const RATE = '40'
const COMMAND = fileURLToPath(new URL('../../cli/cos-goods-matting.mjs', import.meta.url))
/** Prints the most memory that the command had, in megabytes. */
const WATCH = `process.on('exit', () => process.stderr.write('PEAK ' + Math.round(process.resourceUsage().maxRSS / 1024) + '\\n'))`
const rate = 0.005
const FAULTS: Fault[] = [
  ...(['error', 'slow-down', 'reset', 'lose-answer'] as const).map((kind) => ({ on: '*', kind, rate: rate / 5 })),
  ...(['error-in-200', 'drop-result', 'kill', 'reset', 'error', 'lose-answer'] as const).map((kind) => ({
    on: 'GoodsMatting',
    kind,
    rate,
  })),
  { on: 'GoodsMatting', kind: 'error', code: 'AccessDenied', rate },
  { on: 'Invoke', kind: 'lose-answer', rate: 0.02 },
  { on: 'Invoke', kind: 'error', code: 'RequestLimitExceeded.UinLimitExceeded', rate: 0.02 },
]

let port = 0
let dir = ''
const failed: string[] = []
function check(what: string, is: unknown, expected: unknown = true): void {
  const good = JSON.stringify(is) === JSON.stringify(expected)
  if (!good) failed.push(what)
  console.log(
    `${good ? 'ok  ' : 'BAD '} ${what}${good ? '' : `: ${JSON.stringify(is)}, expected ${JSON.stringify(expected)}`}`,
  )
}

function begin(...args: string[]): ChildProcess {
  const watch = `data:text/javascript,${encodeURIComponent(WATCH)}`
  const all = ['--import', watch, COMMAND, 'backfill', ...args, '--local', '--port', String(port), '--json']
  return spawn(process.execPath, all, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
}

async function run(...args: string[]) {
  const began = performance.now()
  const child = begin(...args)
  if (!child.stdout || !child.stderr) throw new Error('no pipes')
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  const peak = Number(/PEAK (\d+)/.exec(err)?.[1])
  if (!out) throw new Error(err)
  return { ...JSON.parse(out), peak, seconds: (performance.now() - began) / 1000 }
}

const keyOf = (i: number) => `uploads/${String(i % 100).padStart(2, '0')}/${String(i).padStart(7, '0')}.jpg`
const etagOf = (key: string) => createHash('md5').update(key).digest('hex')

/** A local cloud that already holds so many photos, of which the first ones are missing their cutouts. */
async function open(photos: number, missing: number): Promise<TestCloud> {
  const data = await mkdtemp(join(tmpdir(), 'backfill-cloud-'))
  const seed = createSeed(data)
  const [jpeg, [cutout]] = [await photo(), await trivial.cut(Buffer.alloc(0), [plain])]
  for (let i = 0; i < photos; i++) {
    const source = { key: keyOf(i), etag: etagOf(keyOf(i)) }
    seed.put(source.key, jpeg, 'image/jpeg', source.etag)
    const png = cutout?.png ?? jpeg
    if (i >= missing) seed.put(cutoutKey('cutouts/', source, plain), png, 'image/png', etagOf(png.toString('hex')))
  }
  return onPorts((free) => {
    port = free
    const environment = { CLAIM_TIME: '60', REDIRECT_TTL: '300' }
    return startTestCloud({ port: free, data, matte: trivial, instances: 8, environment, retryDelay: 200, timeout: 90 })
  })
}

async function listed(cloud: TestCloud, prefix: string): Promise<{ count: number; seconds: number }> {
  const began = performance.now()
  let count = 0
  for await (const _ of cloud.bucket.list(prefix)) count++
  return { count, seconds: (performance.now() - began) / 1000 }
}

function checkBill(cloud: TestCloud, expected: number): void {
  const paid = cloud.cos.bill().map(({ fileid }) => fileid)
  check('each cutout is paid for once', new Set(paid).size, paid.length)
  check(`${expected} calls are paid`, paid.length, expected)
}

async function plans(photos: number, missing: number): Promise<TestCloud> {
  const cloud = await open(photos, missing)
  // The first list sorts the bucket.
  await listed(cloud, 'uploads/')
  const bare = await listed(cloud, 'uploads/')
  const requests = cloud.cos.requests().length
  const planned = await run('plan')
  const ratio = planned.seconds / bare.seconds
  console.log(
    `plan of ${photos}, ${missing} missing: ${planned.seconds.toFixed(1)} s, ${Math.round(photos / planned.seconds)} objects/s, ` +
      `${ratio.toFixed(1)} times a bare list of the photos (${bare.seconds.toFixed(1)} s), peak ${planned.peak} MB, from request ${requests}`,
  )
  check('the plan says what is missing', planned.calls, missing)
  peaks.push(planned.peak)
  return cloud
}

const peaks: number[] = []
try {
  dir = await mkdtemp(join(tmpdir(), 'backfill-'))
  if (PLAN > 0) {
    await (await plans(Math.ceil(PLAN / 10), Math.ceil(RUN / 10))).close()
    const cloud = await plans(PLAN, RUN)
    const half = Math.ceil(RUN / 2)
    const first = await run('run', '--qps', RATE, '--limit', String(half))
    console.log(
      `run of ${half}: ${first.seconds.toFixed(1)} s, ${(half / first.seconds).toFixed(1)} photos/s, peak ${first.peak} MB`,
    )
    // A call without an answer counts, whether it was billed or not.
    check('--limit is kept', first.paid <= half && cloud.cos.bill().length <= first.paid)
    for (let i = 1; i <= 3; i++) {
      const child = begin('run', '--qps', RATE)
      while (cloud.cos.bill().length < half + (RUN - half) * i * 0.25) await new Promise((go) => setTimeout(go, 20))
      child.kill('SIGKILL')
      await once(child, 'exit')
      cloud.clock.advance(65_000)
    }
    const last = await run('run', '--qps', RATE)
    check('after three kill -9 the run comes to its end', [last.failed, last.stopped], [0, null])
    checkBill(cloud, RUN)
    check('nothing is left to pay', (await run('plan')).calls, 0)
    await cloud.close()
    const [small = 0, large = 0] = peaks
    check(`memory is flat: ${small} and ${large} MB`, large < small * 1.5 + 30)
  }
  if (VIA > 0) {
    const cloud = await open(VIA, VIA)
    cloud.faults.set(FAULTS)
    const ran = await run('run', '--via', 'function', '--qps', '10000', '--in-flight', '200')
    cloud.faults.set([])
    await cloud.scf.idle()
    const letters = cloud.scf.deadLetters().length
    const lines = ran.failures ? (await readFile(join(dir, ran.failures), 'utf8')).trimEnd().split('\n') : []
    console.log(
      `--via function, ${VIA} photos: ${ran.seconds.toFixed(1)} s, ${(VIA / ran.seconds).toFixed(1)} photos/s, peak ${ran.peak} MB; ` +
        `${ran.cut} cut, ${ran.failed} failed, ${letters} dead letters`,
    )
    check('none is lost: each is cut out, or a line of the file', ran.cut + lines.length, VIA)
    cloud.clock.advance(65_000)
    await fetch(`${cloud.controlUrl}/api/dead-letters/replay`, { method: 'POST' })
    await cloud.scf.idle()
    check('all dead letters are delivered again', cloud.scf.deadLetters().length, 0)
    await run('run', '--qps', RATE)
    check('all cutouts are there', (await listed(cloud, 'cutouts/')).count, VIA)
    // A result that the vendor billed and did not store is paid for again.
    const paid = cloud.cos.bill().filter(({ outcome }) => outcome !== 'dropped')
    check('bill = distinct', [paid.length, new Set(paid.map(({ fileid }) => fileid)).size], [VIA, VIA])
    await cloud.close()
  }
} finally {
  await rm(dir, { recursive: true, force: true })
}
if (failed.length > 0) throw new Error(failed.join('\n'))
console.log('All held.')
process.exit(0)
