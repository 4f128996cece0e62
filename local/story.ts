import { randomUUID } from 'node:crypto'
import type { Config } from '../lib/config.ts'
import { type Explanation, explain } from '../lib/explain.ts'
import { createInvocation } from '../lib/invocation.ts'
import type { Configured } from './configured.ts'
import type { BillItem, Cos, RequestRecord } from './cos/cos.ts'
import { json } from './json.ts'
import type { Photo, Step, Story } from './page/wire.ts'
import { createReading } from './reading.ts'
import type { InvocationRecord } from './scf/function.ts'
import type { DeadLetter } from './scf/queue.ts'
import type { Scf } from './scf/scf.ts'

export interface StoryOptions {
  cos: Cos
  scf: Scf
  configured: Configured
  now: () => number
}

/** All that is known of one version of a photo. */
interface Known {
  photo: Photo
  config: Config
  /** Of the function that its event went to. */
  runs: InvocationRecord[]
  /** What those wrote of it. */
  lines: Record<string, unknown>[]
  waiting: { failures: number }[]
  letter: DeadLetter | undefined
  /** What `explain` says of it, too. */
  told: Explanation
  bill: BillItem[]
  shown: RequestRecord[]
}

/** What became of a photo, step by step, read where it is stored and remembered; no request is made. */
export async function tellStory(photo: Photo, options: StoryOptions): Promise<Story> {
  const config = options.configured.upload()
  if (!config) throw new Error('No function takes photos yet: one is deployed with a trigger of type cos.')
  const known = await gather(photo, config, options)
  const steps = [
    uploaded(known),
    event(known),
    look(known),
    claim(known),
    paid(known),
    stored(known),
    announced(known),
    shown(known),
  ]
  const { why, advice } = known.told
  return { sentence: advice === undefined ? why : `${why} ${advice}`, steps }
}

async function gather(photo: Photo, config: Config, options: StoryOptions): Promise<Known> {
  const { cos, scf } = options
  const { key, etag, cutouts } = photo
  const since = Date.parse(photo.modified)
  const uploaders = new Set(scf.serverless().cosTriggers.map((trigger) => trigger.function))
  // A date of the bucket and one of the platform may differ by a moment.
  const isRun = (run: InvocationRecord) =>
    uploaders.has(run.function) && Date.parse(run.at) >= since - 1_000 && scf.keyOf(run) === key
  const runs = scf.invocations().filter(isRun)
  const waiting = scf.pending().filter((one) => scf.keyOf(one.event) === key)
  const letters = scf.deadLetters().filter((letter) => scf.keyOf(json(letter.Body.ClientContext)) === key)
  const letter = letters.findLast(({ at }) => Date.parse(at) >= since)
  const keys = new Set(cutouts.map((cutout) => cutout.key))
  return {
    photo,
    config,
    runs,
    lines: runs.flatMap(({ logs }) => logs.map(json)).filter((line) => line.key === key),
    waiting,
    letter,
    told: await explanation(key, config, options, { waiting: waiting.length > 0, letter }),
    bill: cos.bill().filter((item) => item.source === key && item.etag === etag && item.method !== 'download'),
    shown: cos
      .requests()
      .filter((one) => one.method === 'GET' && one.status < 400 && keys.has(one.key) && one.by !== 'function'),
  }
}

/** What the command `explain` says. */
async function explanation(
  key: string,
  config: Config,
  { cos, scf, now }: StoryOptions,
  { waiting, letter }: { waiting: boolean; letter: DeadLetter | undefined },
): Promise<Explanation> {
  // Nothing is signed: what is stored is read where it is.
  const credentials = { secretId: '', secretKey: '' }
  const deadline = Number.POSITIVE_INFINITY
  const basis = createInvocation(config, { credentials, now, random: Math.random, uuid: randomUUID, deadline })
  const [photos, store] = [config.bucket, config.cutoutBucket].map((name) => createReading(cos, name, now))
  const hasTrigger = scf
    .serverless()
    .cosTriggers.some(
      ({ events, prefix, suffix }) =>
        events.startsWith('cos:ObjectCreated') && key.startsWith(prefix) && key.endsWith(suffix),
    )
  const givenUp = letter?.ErrorMessage.replace(/^(?:\w*Error: )+/, '')
  const invocation = { ...basis, ...(photos && { cos: photos }), ...(store && { store }) }
  return explain(invocation, key, { isWaiting: waiting, hasTrigger, ...(givenUp !== undefined && { givenUp }) })
}

function uploaded({ photo }: Known): Step {
  const { type, size, modified } = photo
  return {
    step: 'uploaded',
    at: modified,
    state: 'done',
    text: `${size} bytes of ${type || 'no type'} are in the bucket.`,
  }
}

function event({ runs, waiting, letter }: Known): Step {
  const step = 'event'
  const [first] = runs
  const failures = waiting[0]?.failures ?? 0
  if (letter)
    return {
      step,
      at: letter.at,
      state: 'failed',
      text: `Given up after ${runs.length} deliveries, and kept as a dead letter: ${letter.ErrorMessage}`,
    }
  if (waiting.length > 0)
    return {
      step,
      ...(first && { at: first.at }),
      state: 'waiting',
      text:
        failures > 0
          ? `Delivered ${failures} times without success; it is delivered again.`
          : 'On its way to the function.',
    }
  if (!first)
    return {
      step,
      state: 'missing',
      text: 'The local cloud remembers no event: it was dropped, or came before the last start.',
    }
  return { step, at: first.at, state: 'done', text: `Delivered to ${first.function}, ${times(runs.length)}.` }
}

function look({ runs, lines, photo, waiting }: Known): Step {
  const step = 'look'
  const last = runs.at(-1)
  const skipped = lines.find(({ outcome }) => outcome === 'skipped')
  if (!last)
    return { step, state: waiting.length > 0 ? 'waiting' : 'missing', text: 'No invocation looked at the photo.' }
  const { at, ms, instance, cold, outcome } = last
  const where = `Instance ${instance}, ${cold ? 'cold' : 'warm'}`
  if (skipped) return { step, at, ms, state: 'failed', text: `${where}, skipped it: ${skipped.why}.` }
  if (outcome === 'running') return { step, at, state: 'waiting', text: `${where}, is at work.` }
  const found = photo.cutouts.length > 0 ? 'and its cutouts are there' : 'and no cutout is there'
  return { step, at, ms, state: 'done', text: `${where}, looked at it, ${found}.` }
}

function claim({ told: { attempts } }: Known): Step {
  const step = 'claim'
  const own = attempts.filter(({ current }) => current)
  const last = own.at(-1)
  if (!last) return { step, state: 'missing', text: 'Nobody has claimed the right to pay in the last day.' }
  const { asker, failure, standing, written } = last
  const by = ASKERS[asker] ?? asker
  const at = new Date(written).toISOString()
  if (failure) return { step, at, state: 'failed', text: `Claimed for ${by}, and released: ${failure}.` }
  return { step, at, state: 'done', text: `Claimed for ${by}, ${times(own.length)} in all; the claim is ${standing}.` }
}
const ASKERS: Readonly<Record<string, string>> = {
  trigger: 'the trigger',
  url: 'an image URL',
  upload: 'an upload',
  presigned: 'a presigned upload',
}

function paid({ bill, photo: { mark, cutouts }, told }: Known): Step {
  const step = 'paid'
  const last = bill.at(-1)
  if (last) {
    const { at, method, outcome } = last
    const lost = bill.filter((item) => item.outcome === 'lost' || item.outcome === 'dropped').length
    const text = `${bill.length} paid, the last by method ${ROMAN[method]} (${outcome})`
    return { step, at, state: 'done', text: `${text}${lost > 0 ? `; ${lost} without an answer` : ''}.` }
  }
  if (mark) return { step, state: 'failed', text: `Nothing was paid: ${mark.code}, ${mark.message}` }
  if (cutouts.length > 0) return { step, state: 'missing', text: 'The bill has nothing about these cutouts.' }
  const held = told.attempts.some(({ current, standing }) => current && standing === 'held')
  return { step, state: held ? 'waiting' : 'missing', text: 'Nothing was paid.' }
}
const ROMAN: Readonly<Record<BillItem['method'], string>> = { download: 'one', upload: 'two', cloud: 'three' }

function stored({ photo: { cutouts, mark }, bill }: Known): Step {
  const step = 'stored'
  const last = cutouts
    .map(({ modified }) => modified)
    .sort()
    .at(-1)
  if (last) {
    const what = cutouts.map(({ layout, size }) => `${layout} (${size} bytes)`).join(', ')
    return { step, at: last, state: 'done', text: `There: ${what}.` }
  }
  if (mark) return { step, state: 'failed', text: `There is no cutout: ${mark.code}.` }
  return { step, state: bill.length > 0 ? 'waiting' : 'missing', text: 'There is no cutout yet.' }
}

function announced({ config, lines, runs, photo }: Known): Step {
  const step = 'announced'
  if (!config.eventsUrl) return { step, state: 'missing', text: 'Nobody is told: EVENTS_URL is not set.' }
  const said = lines.findLast(({ outcome }) => outcome === 'cut' || outcome === 'failed' || outcome === 'deferred')
  if (said?.code === 'unannounced') return { step, state: 'failed', text: 'The receiver did not take the event.' }
  const type =
    said?.outcome === 'cut' ? 'cutout.created' : said?.outcome === 'deferred' ? 'cutout.deferred' : 'cutout.failed'
  // A failure that a retry may mend is not announced.
  const final = said?.outcome !== 'failed' || photo.mark !== undefined
  if (!said || !final) return { step, state: runs.length > 0 ? 'waiting' : 'missing', text: 'Not announced yet.' }
  if (!config.events.some((one) => one === type))
    return { step, state: 'missing', text: `${type} is not among EVENTS.` }
  return { step, at: runs.at(-1)?.at ?? '', state: 'done', text: `The receiver took ${type}.` }
}

function shown({ shown }: Known): Step {
  const step = 'shown'
  const [first] = shown
  if (!first) return { step, state: 'missing', text: 'Nobody has fetched a cutout yet.' }
  return { step, at: first.at, ms: first.ms, state: 'done', text: `A cutout was fetched, ${times(shown.length)}.` }
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
