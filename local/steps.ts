import type { Config } from '../lib/config.ts'
import { codes, isCode } from '../lib/errors.ts'
import type { Explanation } from '../lib/explain.ts'
import type { BillItem, RequestRecord } from './cos/cos.ts'
import { englishStory, phrase } from './page/english-story.ts'
import type { Method, Photo, Said, Step, StepName } from './page/wire.ts'
import type { InvocationRecord } from './scf/function.ts'
import type { DeadLetter } from './scf/queue.ts'

/** All that is known of one version of a photo. */
export interface Known {
  photo: Photo
  config: Config
  /** Of the function that its event went to. */
  runs: InvocationRecord[]
  /** What those wrote of it. */
  lines: (Record<string, unknown> & { run: InvocationRecord })[]
  waiting: { failures: number }[]
  hasTrigger: boolean
  letter: DeadLetter | undefined
  /** Why that is one. */
  givenUp: string | undefined
  /** What `explain` says of it, too. */
  told: Explanation
  bill: BillItem[]
  shown: RequestRecord[]
}

/** What became of a photo, from its upload to who has seen its cutout. */
export function stepsOf(known: Known): Step[] {
  return [uploaded, event, look, claim, paid, stored, announced, shown].map((step) => step(known))
}

function make(step: StepName, state: Step['state'], said: Said, when: { at?: string; ms?: number } = {}): Step {
  return { step, ...when, state, said, text: phrase(englishStory, said) }
}

function uploaded({ photo: { type, size, modified } }: Known): Step {
  return make('uploaded', 'done', { phrase: 'uploaded', facts: { size, type } }, { at: modified })
}

function event({ runs, waiting, letter, givenUp = '', hasTrigger, lines }: Known): Step {
  const [first] = runs
  const count = runs.length
  if (letter)
    return make(
      'event',
      'failed',
      { phrase: 'given-up', facts: { count, message: givenUp, ...codeIn(lines) } },
      { at: letter.at },
    )
  const when = first && { at: first.at }
  const failures = waiting[0]?.failures ?? 0
  if (waiting.length > 0 && runs.at(-1)?.outcome === 'running')
    return make('event', 'waiting', { phrase: 'at-work', facts: { function: first?.function ?? '' } }, when)
  if (waiting.length > 0 && failures > 0)
    return make('event', 'waiting', { phrase: 'comes-again', facts: { count: failures } }, when)
  if (waiting.length > 0 && !first) return make('event', 'waiting', { phrase: 'on-its-way', facts: {} })
  if (!first) return make('event', 'missing', { phrase: hasTrigger ? 'no-event' : 'no-trigger', facts: {} })
  return make('event', 'done', { phrase: 'delivered', facts: { function: first.function, count } }, when)
}

function look({ runs, lines, photo, waiting, told }: Known): Step {
  const last = runs.at(-1)
  if (!last) return make('look', waiting.length > 0 ? 'waiting' : 'missing', { phrase: 'not-looked', facts: {} })
  const { at, ms, instance, cold, outcome } = last
  const run = { instance, cold }
  if (outcome === 'running') return make('look', 'waiting', { phrase: 'looking', facts: run }, { at })
  const line = lines.at(-1)
  if (line?.outcome === 'skipped')
    return make('look', 'failed', { phrase: 'skipped', facts: { ...run, why: String(line.why) } }, { at, ms })
  // Whoever has claimed, or found something, has looked before.
  const hasLooked = photo.cutouts.length > 0 || told.attempts.some(({ current }) => current)
  if (outcome !== 'ok' && !hasLooked) {
    const state = waiting.length > 0 ? 'waiting' : 'failed'
    return make('look', state, { phrase: 'broke-off', facts: { ...run, outcome, ...codeIn(lines) } }, { at, ms })
  }
  return make('look', 'done', { phrase: 'looked', facts: run }, { at, ms })
}

function claim({ told: { attempts } }: Known): Step {
  const own = attempts.filter(({ current }) => current)
  const last = own.at(-1)
  if (!last) return make('claim', 'missing', { phrase: 'unclaimed', facts: {} })
  const { failure, written } = last
  const at = new Date(written).toISOString()
  if (failure)
    return make('claim', 'failed', { phrase: 'released', facts: { asker: last.asker, code: failure } }, { at })
  const cutouts = new Set(own.map(({ cutout }) => cutout)).size
  const askers = [...new Set(own.map(({ asker }) => asker))]
  return make('claim', 'done', { phrase: 'claimed', facts: { askers, cutouts, again: own.length - cutouts } }, { at })
}

function paid({ bill, photo: { mark, cutouts }, told }: Known): Step {
  const last = bill.at(-1)
  if (last) {
    const { at, method, outcome } = last
    const lost = bill.filter((item) => item.outcome === 'lost').length
    return make(
      'paid',
      'done',
      { phrase: 'paid', facts: { count: bill.length, method: METHODS[method], outcome, lost } },
      { at },
    )
  }
  if (cutouts.length > 0) return make('paid', 'missing', { phrase: 'not-billed', facts: {} })
  if (mark) return make('paid', 'failed', { phrase: 'not-paid', facts: mark })
  return make('paid', isHeld(told) ? 'waiting' : 'missing', { phrase: 'unpaid', facts: {} })
}
const METHODS: Readonly<Record<BillItem['method'], Method>> = { download: 'one', upload: 'two', cloud: 'three' }

function isHeld({ attempts }: Explanation): boolean {
  return attempts.some(({ current, standing }) => current && standing === 'held')
}

function stored({ photo: { cutouts, mark }, told, waiting, runs }: Known): Step {
  const { missing } = told
  const at = cutouts
    .map(({ modified }) => modified)
    .sort()
    .at(-1)
  // The platform brings the rest, or whoever claimed it is at work.
  const isUnderWay = (waiting.length > 0 && runs.length > 0) || isHeld(told)
  const rest = mark ? 'failed' : isUnderWay ? 'waiting' : 'missing'
  if (at === undefined)
    return mark
      ? make('stored', 'failed', { phrase: 'not-stored', facts: mark })
      : make('stored', rest, { phrase: 'not-stored-yet', facts: {} })
  if (mark?.code === 'no-product')
    return make('stored', 'failed', { phrase: 'blank', facts: { count: cutouts.length } }, { at })
  const there = cutouts.map(({ text, size }) => ({ text, size }))
  if (missing.length > 0)
    return make('stored', rest, { phrase: 'stored-some', facts: { cutouts: there, missing } }, { at })
  return make('stored', 'done', { phrase: 'stored', facts: { cutouts: there } }, { at })
}

const TYPES = new Map([
  ['cut', 'cutout.created'],
  ['failed', 'cutout.failed'],
  ['deferred', 'cutout.deferred'],
  ['skipped', 'source.skipped'],
])

function announced({ config, lines, waiting, runs, told }: Known): Step {
  if (!config.eventsUrl) return make('announced', 'missing', { phrase: 'nobody-told', facts: {} })
  const said = lines.findLast(({ outcome }) => TYPES.has(String(outcome)))
  const code = said?.code
  const state = waiting.length > 0 && runs.length > 0 ? 'waiting' : 'missing'
  if (code === 'unannounced')
    return make('announced', waiting.length > 0 ? 'waiting' : 'failed', { phrase: 'not-taken', facts: {} })
  // A failure that a retry may mend is not announced.
  if (!said || (said.outcome === 'failed' && !isAnnounced(code, told)))
    return make('announced', state, { phrase: 'not-announced', facts: {} })
  const type = TYPES.get(String(said.outcome)) ?? ''
  if (!config.events.some((one) => one === type))
    return make('announced', 'missing', { phrase: 'not-chosen', facts: { type } })
  const at = new Date(Date.parse(said.run.at) + said.run.ms).toISOString()
  return make('announced', 'done', { phrase: 'announced', facts: { type } }, { at })
}

/** Whether the upload function tells of such a failure: of `denied` only where it was about to pay. */
function isAnnounced(code: unknown, { attempts }: Explanation): boolean {
  const about = codes.get(String(code))?.about
  return about === 'photo' || about === 'layout' || (code === 'denied' && attempts.length > 0)
}

function shown({ shown }: Known): Step {
  const [first] = shown
  if (!first) return make('shown', 'missing', { phrase: 'not-shown', facts: {} })
  return make('shown', 'done', { phrase: 'shown', facts: { count: shown.length } }, { at: first.at, ms: first.ms })
}

/** The code that the last line names. */
function codeIn(lines: Known['lines']): { code?: string } {
  const code = lines.at(-1)?.code
  return isCode(code) ? { code } : {}
}
