/** The events to deliver again, and the letters that could not be read. */
export interface Replay {
  events: { Records: unknown[] }[]
  unreadable: unknown[]
}

/**
 * Dead letters → events to give to the upload function again. Each object comes once, even if it failed several times, and each
 * event has one record, so that an object that fails again does not affect others. Nothing is paid twice: a cutout that was
 * made meanwhile is found. Letters may have any of these forms: SCF's `{Body: {ClientContext: "<event>"}}` (product/583/39704),
 * a message of CMQ's or a whole batch of them (product/1496/70958), a list, the event itself; each of them, and its content, as
 * an object or as JSON text.
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

/** How deeply letters may be nested: several times what the vendor's are. Deeper ones would exhaust the stack. */
const LEVELS = 64

/** The single letters of a list or a batch. */
function unpack(letters: unknown, levels = LEVELS): unknown[] {
  const all = parsed(letters)
  const list = Array.isArray(all) ? all : Object(all).msgInfoList
  return Array.isArray(list) && levels > 0 ? list.flatMap((letter) => unpack(letter, levels - 1)) : [letters]
}

/** The content of a letter, without its envelopes. `event` is the envelope of letters that earlier local clouds kept. */
function open(letter: unknown): unknown {
  const inside = parsed(letter)
  if (!isShallow(inside)) return undefined
  const { msgBody, Body, ClientContext, event } = Object(inside)
  const next = msgBody ?? Body ?? ClientContext ?? event
  return next === undefined ? inside : open(next)
}

function isShallow(value: unknown, levels = LEVELS): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((one) => isShallow(one, levels - 1))
}

function parsed(value: unknown): unknown {
  try {
    return typeof value === 'string' ? parsed(JSON.parse(value)) : value
  } catch {
    return undefined
  }
}

/** The same for all records of one object and one kind (stored or deleted): the latest is enough. */
function identity(record: unknown): string {
  const { cos, event } = Object(record)
  const { cosBucket, cosObject } = Object(cos)
  const { name, appid } = Object(cosBucket)
  // `cos:` may be missing or followed by a space.
  const [, kind] = /object(\w+)/i.exec(String(Object(event).eventName)) ?? []
  const { key } = Object(cosObject)
  return typeof key === 'string' ? JSON.stringify([kind?.toLowerCase(), name, appid, key]) : JSON.stringify(record)
}
