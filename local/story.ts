import { randomUUID } from 'node:crypto'
import type { Config } from '../lib/config.ts'
import { type Explanation, explain } from '../lib/explain.ts'
import { createInvocation } from '../lib/invocation.ts'
import type { Configured } from './configured.ts'
import type { Cos, RequestRecord } from './cos/cos.ts'
import { json } from './json.ts'
import { englishStory } from './page/english-story.ts'
import type { Photo, Story } from './page/wire.ts'
import { createReading } from './reading.ts'
import type { InvocationRecord } from './scf/function.ts'
import type { Scf } from './scf/scf.ts'
import { type Known, stepsOf } from './steps.ts'

export interface StoryOptions {
  cos: Cos
  scf: Scf
  configured: Configured
  now: () => number
}

/** What became of a photo, step by step, read where it is stored and remembered; no request is made. */
export async function tellStory(photo: Photo, options: StoryOptions): Promise<Story> {
  const config = options.configured.upload()
  if (!config) throw new Error('No function takes photos yet: one is deployed with a trigger of type cos.')
  const known = await gather(photo, config, options)
  const { reason } = known.told
  return { reason, sentence: englishStory.reason(reason), steps: stepsOf(known) }
}

async function gather(photo: Photo, config: Config, options: StoryOptions): Promise<Known> {
  const { cos, scf } = options
  const { key, etag, cutouts } = photo
  const since = Date.parse(photo.modified)
  const { cosTriggers } = scf.serverless()
  const isAbout = (of: unknown) => scf.keyOf(of) === key && !scf.isRemoval(of)
  const isRun = (run: InvocationRecord) =>
    cosTriggers.some((trigger) => trigger.function === run.function) && Date.parse(run.at) >= since && isAbout(run)
  const runs = scf.invocations().filter(isRun)
  const waiting = scf.pending().filter(({ event }) => isAbout(event))
  const letters = scf.deadLetters().filter((letter) => isAbout(json(letter.Body.ClientContext)))
  const letter = letters.findLast(({ at }) => Date.parse(at) >= since)
  const hasTrigger = cosTriggers.some(
    ({ events, prefix, suffix }) =>
      events.startsWith('cos:ObjectCreated') && key.startsWith(prefix) && key.endsWith(suffix),
  )
  const givenUp = letter?.ErrorMessage.replace(/^(?:\w*Error: )+/, '')
  // What is kept of a cutout beside it is a view of it.
  const isShown = (one: RequestRecord) =>
    cutouts.some((cutout) => one.key === cutout.key || one.key.startsWith(cutout.key.replace(/\.png$/, '/')))
  return {
    photo,
    config,
    runs,
    lines: runs.flatMap((run) => run.logs.map(json).flatMap((line) => (line.key === key ? { ...line, run } : []))),
    waiting,
    hasTrigger,
    givenUp,
    letter,
    told: await explanation(key, config, options, {
      isWaiting: waiting.length > 0,
      hasTrigger,
      ...(givenUp !== undefined && { givenUp }),
    }),
    bill: cos.bill().filter((item) => item.source === key && item.etag === etag && item.method !== 'download'),
    shown: cos
      .requests()
      .filter((one) => one.method === 'GET' && isOk(one.status) && one.by !== 'function' && isShown(one)),
  }
}

/** A fault may have taken the answer away: then its status is 0. */
function isOk(status: number): boolean {
  return status >= 200 && status < 400
}

/** What the command `explain` says. */
async function explanation(
  key: string,
  config: Config,
  { cos, now }: StoryOptions,
  known: Parameters<typeof explain>[2],
): Promise<Explanation> {
  // Nothing is signed: what is stored is read where it is.
  const credentials = { secretId: '', secretKey: '' }
  const deadline = Number.POSITIVE_INFINITY
  const basis = createInvocation(config, { credentials, now, random: Math.random, uuid: randomUUID, deadline })
  const [photos, store] = [config.bucket, config.cutoutBucket].map((name) => createReading(cos, name, now))
  const invocation = { ...basis, ...(photos && { cos: photos }), ...(store && { store }) }
  return explain(invocation, key, known)
}
