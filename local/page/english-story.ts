import { type Reason, say } from '../../lib/reason.ts'
import { kilobytes } from './size.ts'
import type { Said, StoryFacts } from './wire.ts'

/** How a language tells the story of a photo. */
export type StoryText = { [K in keyof StoryFacts]: (facts: StoryFacts[K]) => string } & {
  reason: (reason: Reason) => string
}

export const englishStory: StoryText = {
  reason(reason) {
    const { why, advice } = say(reason)
    return advice === undefined ? why : `${why} ${advice}`
  },
  uploaded: ({ size, type }) => `${kilobytes(size)} of ${type || 'no type'} are in the bucket.`,
  'given-up': ({ count, message }) => `Delivered ${times(count)}, and kept as a dead letter: ${message}`,
  'comes-again': ({ count }) => `Delivered ${times(count)} without success; it is delivered again.`,
  'at-work': ({ function: name }) => `Delivered to ${name}, which is at work.`,
  'on-its-way': () => 'On its way to the function.',
  'no-trigger': () => 'No trigger gives the function what arrives in this folder.',
  'no-event': () => 'The local cloud remembers no event: it was dropped, or came before the last start.',
  delivered: ({ function: name, count }) => `Delivered to ${name}, ${times(count)}.`,
  'not-looked': () => 'The local cloud remembers no run that looked at the photo.',
  skipped: ({ why, ...run }) => `${where(run)} skipped it: ${why}.`,
  looking: (run) => `${where(run)} is at work.`,
  'broke-off': ({ outcome, code, ...run }) => `${where(run)} broke off: ${code ?? outcome}.`,
  looked: (run) => `${where(run)} looked at it.`,
  unclaimed: () => 'Nobody has claimed the right to pay in the last day.',
  released: ({ asker, code }) => `Claimed for ${askers[asker] ?? asker}, and released: ${code}.`,
  claimed: ({ askers: who, cutouts, again }) =>
    `Claimed for ${who.map((asker) => askers[asker] ?? asker).join(' and ')}, for ${cutouts === 1 ? 'one cutout' : `${cutouts} cutouts`}${again > 0 ? `; ${times(again)} anew` : ''}.`,
  paid: ({ count, method, outcome, lost }) =>
    `${count} paid, the last by method ${method} (${outcome})${lost > 0 ? `; ${lost} without an answer` : ''}.`,
  'not-paid': ({ code, message }) => `Nothing was paid: ${code}, ${message}`,
  'not-billed': () => 'The bill has nothing about these cutouts.',
  unpaid: () => 'Nothing was paid.',
  stored: ({ cutouts }) => `There: ${list(cutouts)}.`,
  'stored-some': ({ cutouts, missing }) => `There: ${list(cutouts)}. Missing: ${missing.join(', ')}.`,
  blank: ({ count }) => `What was made is blank (${count}): no product was found.`,
  'not-stored': ({ code }) => `There is no cutout: ${code}.`,
  'not-stored-yet': () => 'There is no cutout yet.',
  'nobody-told': () => 'Nobody is told: EVENTS_URL is not set.',
  'not-taken': () => 'The receiver did not take the event.',
  'not-announced': () => 'Not announced yet.',
  'not-chosen': ({ type }) => `${type} is not among EVENTS.`,
  announced: ({ type }) => `The receiver took ${type}.`,
  'not-shown': () => 'Nobody has fetched a cutout since the local cloud started.',
  shown: ({ count }) => `A cutout was fetched, ${times(count)}.`,
}

const askers: Readonly<Record<string, string>> = {
  trigger: 'the trigger',
  url: 'an image URL',
  upload: 'an upload',
  presigned: 'a presigned upload',
}

/** Puts what is said into the words of a language. */
export function phrase<K extends keyof StoryFacts>(texts: StoryText, { phrase, facts }: Said<K>): string {
  const all: { [P in keyof StoryFacts]: (facts: StoryFacts[P]) => string } = texts
  return all[phrase](facts)
}

function where({ instance, cold }: { instance: number; cold: boolean }): string {
  return `Instance ${instance}, ${cold ? 'cold' : 'warm'},`
}

function list(cutouts: StoryFacts['stored']['cutouts']): string {
  return cutouts.map(({ text, size }) => `${text} (${kilobytes(size)})`).join(', ')
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
