/** What a replay delivers again, and what could not be read. */
export interface Replay {
  events: { Records: unknown[] }[]
  unreadable: unknown[]
}

/**
 * Dead letters → events to give to the upload function again: each object once, however often it was given up, one record an
 * event, so that one that fails again does not take others with it. Nothing is paid twice by that: what was made meanwhile is found.
 * A letter is the event itself, its JSON text, or an object with it as `event` (as the local cloud keeps them).
 */
export function replay(letters: readonly unknown[]): Replay {
  const records = new Map<string, unknown>()
  const unreadable: unknown[] = []
  for (const letter of letters) {
    const { Records } = Object(eventOf(letter))
    if (!Array.isArray(Records)) unreadable.push(letter)
    else for (const record of Records) records.set(identity(record), record)
  }
  return { events: [...records.values()].map((record) => ({ Records: [record] })), unreadable }
}

function eventOf(letter: unknown): unknown {
  if (typeof letter !== 'string') return Object(letter).event === undefined ? letter : eventOf(Object(letter).event)
  try {
    return eventOf(JSON.parse(letter))
  } catch {
    return undefined
  }
}

/** Of the same object, and arrived or gone: then the later one will do. */
function identity(record: unknown): string {
  const { cos, event } = Object(record)
  const { cosBucket, cosObject } = Object(cos)
  const { name, appid } = Object(cosBucket)
  const [, kind] = String(Object(event).eventName).split(':')
  const { key } = Object(cosObject)
  return typeof key === 'string' ? JSON.stringify([kind, name, appid, key]) : JSON.stringify(record)
}
