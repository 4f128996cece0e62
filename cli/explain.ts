import { type Explanation, explain as explainPhoto, type Known } from '../lib/explain.ts'
import { replay } from '../lib/replay.ts'
import { count } from './amount.ts'
import { fields, get, json, list, text } from './api.ts'
import type { Operator } from './operator.ts'
import { objectTriggers } from './triggers.ts'

/** What the platform did about a photo, the latest last; only the local cloud tells it. */
export interface Happening {
  at: string
  function: string
  outcome: string
  why?: string
}

export type Explained = Explanation & { happenings?: Happening[] }

/** Says why a photo has no cutout. Pays nothing. @throws MattingError unavailable, denied, misconfigured */
export async function explain(operator: Operator, key: string): Promise<Explained> {
  const { account } = operator
  const happenings = account.local && (await happened(account.local.control, key))
  const known = account.local
    ? await localKnown(account.local.control, key, happenings ?? [])
    : await accountKnown(operator, key)
  const told = await explainPhoto(operator.open(60_000), key, known)
  return { ...told, ...(happenings && { happenings }) }
}

async function happened(control: number, key: string): Promise<Happening[]> {
  const runs = json(`{"all":${await read(control, 'invocations')}}`).all
  return list(runs).flatMap(({ at, function: name, logs, outcome, error }) => {
    const lines = (Array.isArray(logs) ? logs : []).map(json).filter((line) => line.key === key)
    return lines.map((line) => {
      const why = text(line.why) || text(line.message) || (outcome === 'ok' ? '' : text(error))
      return { at: text(at), function: text(name), outcome: text(line.outcome), ...(why && { why }) }
    })
  })
}

async function localKnown(control: number, key: string, happenings: readonly Happening[]): Promise<Known> {
  const letters = list(json(`{"all":${await read(control, 'dead-letters')}}`).all)
  const given = letters.findLast((letter) => keysOf(letter).includes(key))
  const { events } = json(await read(control, 'waiting'))
  const { triggers } = json(await read(control, 'functions'))
  const mine = list(triggers).filter(({ events }) => text(events).startsWith('cos:ObjectCreated'))
  return {
    ...(given && { givenUp: text(given.ErrorMessage).replace(/^(?:\w*Error: )+/, '') }),
    isWaiting: happenings.length === 0 && Number(events) > 0,
    hasTrigger: mine.some(({ prefix, suffix }) => key.startsWith(text(prefix)) && key.endsWith(text(suffix))),
  }
}

/** Whoever may not list triggers is told nothing of them. */
async function accountKnown({ account, stage }: Operator, key: string): Promise<Known> {
  const [upload] = stage.functions
  const rules = await objectTriggers(account, upload?.name ?? '').catch(() => undefined)
  if (!rules) return {}
  const mine = rules.filter(({ open, rule }) => open && rule.event.startsWith('cos:ObjectCreated'))
  return { hasTrigger: mine.some(({ rule }) => key.startsWith(rule.prefix) && key.endsWith(rule.suffix)) }
}

/** The keys of the photos that a dead letter is about, in every reading. */
export function keysOf(letter: unknown): string[] {
  return replay([letter])
    .events.flatMap(({ Records }) => Records)
    .flatMap((record) => {
      const { cosBucket, cosObject } = fields(fields(record).cos)
      const { name, appid } = fields(cosBucket)
      const key = text(fields(cosObject).key).replace(`/${String(appid)}/${String(name)}/`, '')
      try {
        return [decodeURIComponent(key), key]
      } catch {
        return [key]
      }
    })
}

async function read(control: number, what: string): Promise<string> {
  return (await get(`http://127.0.0.1:${control}/api/${what}`)).body.toString()
}

/** An explanation for people; the sentence that answers comes last. */
export function* printExplanation(told: Explained): Generator<string> {
  const { key, photo, layouts, made, marks, attempts, receipts, happenings = [], why, advice } = told
  const iso = (time: number) => new Date(time).toISOString().replace('.000', '')
  yield `photo     ${key}${photo ? `, ${count(photo.size)} bytes, ${photo.type || 'no type'}, stored ${iso(photo.modified)}` : ''}`
  if (photo)
    yield `version   ${photo.etag}${photo.matting === undefined ? '' : `, x-cos-meta-matting: ${photo.matting}`}`
  if (layouts.length > 0) yield `layouts   ${layouts.join(', ')}`
  for (const one of made) {
    const what = one.beside ? 'beside   ' : one.current ? 'cutout   ' : 'former   '
    yield `${what} ${one.key}, ${count(one.size)} bytes, ${iso(one.written)}`
  }
  for (const { name, written } of marks) yield `mark      ${name}, ${iso(written)}`
  for (const { cutout, number, asker, standing, failure, written, until, current } of attempts)
    yield `claim     ${number} for ${asker}, ${iso(written)} to ${iso(until)}, ${made.some(({ key }) => key === cutout) ? 'its cutout is there' : standing}${failure ? ` (${failure})` : ''}${current ? '' : ', of a former photo'}: ${cutout}`
  for (const { at, asker, outcome, cutouts } of receipts)
    yield `receipt   ${at} ${outcome} for ${asker}: ${cutouts.length}`
  for (const { at, function: name, outcome, why } of happenings.slice(-5))
    yield `event     ${at} ${name}: ${outcome}${why ? `, ${why}` : ''}`
  yield why
  if (advice) yield advice
}
