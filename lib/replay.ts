/** What a replay delivers again, and what could not be read. */
export interface Replay {
  events: { Records: unknown[] }[]
  unreadable: unknown[]
}

/**
 * Dead letters → events to give to the upload function again: each object once, however often it was given up, one record an
 * event, so that one that fails again does not take others with it. Nothing is paid twice by that: what was made meanwhile is found.
 * Letters are taken as they come: SCF's `{Body: {ClientContext: "<event>"}}` (product/583/39704), a message of CMQ's or a whole
 * batch of them (product/1496/70958), a list, the event itself; each of them, and what is in it, as an object or as JSON text.
 */
export function replay(letters: readonly unknown[]): Replay {
  const records = new Map<string, unknown>()
  const unreadable: unknown[] = []
  for (const letter of letters.flatMap((letter) => unpack(letter))) {
    const { Records } = Object(open(letter))
    if (!Array.isArray(Records)) unreadable.push(letter)
    else for (const record of Records) records.set(identity(record), record)
  }
  return { events: [...records.values()].map((record) => ({ Records: [record] })), unreadable }
}

/** The single letters of a list or a batch. */
function unpack(letters: unknown): unknown[] {
  const all = parsed(letters)
  const list = Array.isArray(all) ? all : Object(all).msgInfoList
  return Array.isArray(list) ? list.flatMap((letter) => unpack(letter)) : [letters]
}

/** What is in a letter, out of all its envelopes. `event` is that of letters which the local cloud kept before. */
function open(letter: unknown): unknown {
  const inside = parsed(letter)
  const { msgBody, Body, ClientContext, event } = Object(inside)
  const next = msgBody ?? Body ?? ClientContext ?? event
  return next === undefined ? inside : open(next)
}

function parsed(value: unknown): unknown {
  try {
    return typeof value === 'string' ? parsed(JSON.parse(value)) : value
  } catch {
    return undefined
  }
}

/** Of the same object, and arrived or gone: then the later one will do. */
function identity(record: unknown): string {
  const { cos, event } = Object(record)
  const { cosBucket, cosObject } = Object(cos)
  const { name, appid } = Object(cosBucket)
  // Also where `cos:` is missing, or followed by a space.
  const [, kind] = /object(\w+)/i.exec(String(Object(event).eventName)) ?? []
  const { key } = Object(cosObject)
  return typeof key === 'string' ? JSON.stringify([kind?.toLowerCase(), name, appid, key]) : JSON.stringify(record)
}
