import { replay } from '../lib/replay.ts'
import type { DeadLetter } from './scf/queue.ts'
import type { Told } from './scf/scf.ts'

/** How a line is to be seen: something was made and paid for, nothing was, it was refused, or it failed. */
export type Tone = 'made' | 'there' | 'refused' | 'failed'

/** A line about what the functions did. */
export interface Line {
  tone: Tone
  text: string
}

/** The lines about what a function did: one for each photo, and one for each image URL that was asked for. */
export function lines(told: Told): Line[] {
  if ('began' in told) return []
  if ('letter' in told) return [givenUp(told.letter)]
  const { ran, event } = told
  const { httpMethod: method, path } = Object(event)
  const logged = ran.logs.flatMap((line) => parse(line))
  if (typeof method === 'string') return [asked(`${method} ${path}`, told, logged)]
  const ended = logged.flatMap((line) => photo(line, ran.ms))
  if (ran.outcome === 'ok' || ended.some(({ tone }) => tone === 'failed')) return ended
  // It was ended before it could say anything.
  const text = `photo        ${keyOf(event)}: ${ran.outcome}, ${ran.error ?? ''}`
  return [...ended, { tone: 'failed', text: printable(text) }]
}

/** A log line of the upload function. */
function photo(line: Record<string, unknown>, whole: number): Line[] {
  const { key, outcome, cutouts, paid, why, code, message, ms = whole } = line
  const say = (tone: Tone, text: string) => [{ tone, text: printable(`photo        ${key} ${text}`) }]
  switch (outcome) {
    case 'cut': {
      const layouts = Array.isArray(cutouts) ? cutouts.map((cutout) => layoutIn(String(cutout))) : []
      return say(
        paid ? 'made' : 'there',
        `→ ${layouts.join(', ')} in ${ms} ms, ${paid ? `${paid} paid` : 'nothing paid'}`,
      )
    }
    case 'removed':
      return say('there', `was deleted, and ${cutouts} cutouts with it`)
    case 'skipped':
      return say('refused', `skipped: ${why}`)
    case 'failed':
    case 'deferred':
      return say('failed', `${outcome}: ${code}, ${message}`)
    default:
      return []
  }
}

/** An answer of the image function. */
function asked(
  what: string,
  { ran }: Extract<Told, { ran: unknown }>,
  logged: readonly Record<string, unknown>[],
): Line {
  const say = (tone: Tone, text: string) => ({ tone, text: printable(`image        ${what} ${text}`) })
  if (ran.outcome !== 'ok') return say('failed', `${ran.outcome}: ${ran.error ?? ''}`)
  const [answer = {}] = parse(ran.result ?? '')
  const { statusCode: status, headers, body } = answer
  const how = Object(headers)['x-matting']
  const paid = Number(logged.find(({ paid }) => paid)?.paid ?? 0)
  const cost = paid > 0 ? `, ${paid} paid` : ''
  if (Number(status) < 400)
    return say(paid > 0 ? 'made' : 'there', `→ ${status}${how ? ` ${how}` : ''} in ${ran.ms} ms${cost}`)
  const [{ code, title } = {}] = parse(String(body ?? ''))
  return say(Number(status) < 500 ? 'refused' : 'failed', `→ ${status} ${code}, ${title}${cost}`)
}

function givenUp(letter: DeadLetter): Line {
  const why = letter.ErrorMessage.replace(/^(?:\w*Error: )+/, '').replace(/\.$/, '')
  const text = `given up     ${keyOf(letter)}: ${why}; POST /api/dead-letters/replay delivers it again`
  return { tone: 'failed', text: printable(text) }
}

/** The keys of an event, or of a dead letter. */
function keyOf(event: unknown): string {
  const { events } = replay([event])
  const records = events.flatMap(({ Records }) => Records)
  const keys = records.map((record) => {
    const { cosObject, cosBucket } = Object(Object(record).cos)
    const { name, appid } = Object(cosBucket)
    return String(Object(cosObject).key).replace(`/${appid}/${name}/`, '')
  })
  return keys.join(', ') || 'an event that is none'
}

/** `…/ab79….-c1-p20x10.png` → `c1-p20x10` */
function layoutIn(cutout: string): string {
  return /([^/]*)\.png$/.exec(cutout)?.[1]?.replace(/^[\da-f]+(?:-\d+)?-/, '') ?? cutout
}

/** The object in a text of JSON; none if it is none. */
function parse(text: string): Record<string, unknown>[] {
  try {
    return [Object(JSON.parse(text))]
  } catch {
    return []
  }
}

/** A key may hold control characters, which a terminal would obey, also those that turn the direction of a line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '?')
}
