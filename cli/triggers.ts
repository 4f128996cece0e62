import { RECORDS } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import { type Account, ask, type BucketCall, type Fields, fields, find, json, objects, text } from './api.ts'
import { all, scf } from './function.ts'
import { handing } from './hand-over.ts'
import type { Rule, Stage } from './stage.ts'
import type { Step } from './step.ts'

/** The alias under which versions are rolled out; the API would take $LATEST. */
export const QUALIFIER = '$DEFAULT'

/** Last-Modified may mark an upload's start, and a large one takes its time. In milliseconds. */
const LONGEST_UPLOAD = 900_000

interface Trigger {
  rule: Rule
  /** The text of the API, which it wants back to delete the trigger. */
  desc: string
  qualifier: string
  open: boolean
}

/**
 * The object triggers as serverless.yml has them. New ones are made before old ones are taken away, so that no upload is missed.
 * Where the two overlap, the API refuses that: then a mark in the bucket tells since when, until the function was given what
 * was uploaded meanwhile. The mark outlives this command, and tells the next one to go on.
 */
export async function* triggers(account: Account, stage: Stage): Step {
  await checkForeign(account, stage)
  for (const { name } of stage.functions) {
    const there = await objectTriggers(account, name)
    const wanted = stage.rules.filter((rule) => rule.function === name)
    const missing = wanted.filter((rule) => !there.some((trigger) => trigger.open && isSame(trigger.rule, rule)))
    const stale = there.filter(({ open, rule }) => !open || !wanted.some((one) => isSame(one, rule)))
    const blocked = missing.filter((rule) => stale.some((trigger) => overlap(trigger.rule, rule)))
    let since = await readMark(account, stage, name)
    if (blocked.length > 0 && since === undefined) {
      yield { say: 'note the time', call: mark(stage, name, 'PUT') }
      since = (await readMark(account, stage, name)) ?? account.now()
    }
    for (const rule of missing.filter((one) => !blocked.includes(one))) yield create(rule)
    for (const trigger of stale) yield remove(trigger)
    for (const rule of blocked) yield create(rule)
    if (since === undefined) continue
    for (const rule of wanted.filter(({ event }) => event.startsWith('cos:ObjectCreated:')))
      yield* handOver(account, stage, rule, since - LONGEST_UPLOAD)
    yield { say: 'nothing was missed', call: mark(stage, name, 'DELETE') }
  }
}

/** @throws MattingError if a rule overlaps with one of another function, which the API would refuse without naming it */
export async function checkForeign(account: Account, stage: Stage): Promise<void> {
  const [first] = await overlaps(account, stage)
  if (!first) return
  throw new MattingError(
    'misconfigured',
    `${first.event} of ${first.prefix || 'everything'} in ${first.bucket} already goes to ${first.function}, and a rule of a bucket belongs to one function. Give this stage a COS_BUCKET or SOURCE_PREFIXES of its own, or remove that trigger.`,
  )
}

/** The rules of other functions that overlap with those of this stage. */
export async function overlaps(account: Account, stage: Stage): Promise<Rule[]> {
  const names = (await all(account, 'ListFunctions', {}, 'Functions')).map(({ FunctionName }) => text(FunctionName))
  const others = names.filter((name) => !stage.functions.some((own) => own.name === name))
  const found = await Promise.all(others.map((name) => objectTriggers(account, name)))
  return found.flat().flatMap(({ rule }) => (stage.rules.some((own) => overlap(own, rule)) ? [rule] : []))
}

/** All object triggers of the stage's functions are taken away, and the marks: they would have all later photos paid for. */
export async function* removeTriggers(account: Account, stage: Stage): Step {
  for (const { name } of stage.functions) {
    for (const trigger of await objectTriggers(account, name)) yield remove(trigger)
    if ((await readMark(account, stage, name)) !== undefined)
      yield { say: 'forget what was missed', call: mark(stage, name, 'DELETE') }
  }
}

export async function objectTriggers(account: Account, name: string): Promise<Trigger[]> {
  return (await listTriggers(account, name))
    .filter(({ Type }) => Type === 'cos')
    .map(({ TriggerName, TriggerDesc, Qualifier, Enable }) => {
      const { event, filter } = json(TriggerDesc)
      const { Prefix, Suffix } = fields(filter)
      const rule = {
        function: name,
        bucket: text(TriggerName),
        event: text(event),
        prefix: text(Prefix),
        suffix: text(Suffix),
      }
      // The API tells more than it was given, and wants back what it was given.
      return { rule, desc: describe(rule), qualifier: text(Qualifier), open: Enable === 1 }
    })
}

export async function listTriggers(account: Account, name: string): Promise<Fields[]> {
  const there = await find(account, scf('GetFunction', { FunctionName: name }))
  return there ? await all(account, 'ListTriggers', { FunctionName: name }, 'Triggers') : []
}

function create(rule: Rule) {
  const params = {
    FunctionName: rule.function,
    TriggerName: rule.bucket,
    Type: 'cos',
    TriggerDesc: describe(rule),
    Qualifier: QUALIFIER,
    Enable: 'OPEN',
  }
  return { say: `${rule.prefix} ${rule.event} goes to ${rule.function}`, call: scf('CreateTrigger', params) }
}

function remove({ rule, desc, qualifier }: Trigger) {
  const params = {
    FunctionName: rule.function,
    TriggerName: rule.bucket,
    Type: 'cos',
    TriggerDesc: desc,
    Qualifier: qualifier,
  }
  return { say: `${rule.prefix} ${rule.event} no longer goes to ${rule.function}`, call: scf('DeleteTrigger', params) }
}

/** Gives the function the events of what was stored since then. It looks before it pays, so an event too many costs nothing. */
async function* handOver(account: Account, { config }: Stage, rule: Rule, since: number): Step {
  for await (const { key, size, written } of objects(account, config.bucket, rule.prefix)) {
    if (written < since || !key.endsWith(rule.suffix)) continue
    const call = handing(config, rule.function, { key, size, written })
    yield { say: 'hand over what was uploaded meanwhile', call }
  }
}

/** In the bucket whose triggers it is about; CUTOUT_BUCKET may be another one when the command is run again. */
function mark({ config }: Stage, name: string, method: 'GET' | 'PUT' | 'DELETE'): BucketCall {
  return { bucket: config.bucket, door: 'cos', method, key: `${RECORDS}deploy/${name}`, type: 'text/plain' }
}

/** When the mark was put, by COS's clock. */
async function readMark(account: Account, stage: Stage, name: string): Promise<number | undefined> {
  const answer = await ask(account, mark(stage, name, 'GET'), [200, 404])
  return answer.status === 200 ? Date.parse(text(answer.headers['last-modified'])) : undefined
}

function describe({ event, prefix, suffix }: Rule): string {
  return JSON.stringify({ event, filter: { Prefix: prefix, Suffix: suffix } })
}

function isSame(a: Rule, b: Rule): boolean {
  return a.bucket === b.bucket && describe(a) === describe(b)
}

/** Whether one object's event could fit both. */
function overlap(a: Rule, b: Rule): boolean {
  const [kindA, kindB] = [a.event.replace(/\*$/, ''), b.event.replace(/\*$/, '')]
  return (
    a.bucket === b.bucket &&
    (kindA.startsWith(kindB) || kindB.startsWith(kindA)) &&
    (a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix)) &&
    (a.suffix.endsWith(b.suffix) || b.suffix.endsWith(a.suffix))
  )
}
