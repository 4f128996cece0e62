import { MattingError } from '../../lib/errors.ts'
import { readings } from '../../lib/readings.ts'

/** An object that arrived, as far as its event tells. */
export interface Arrival {
  /**
   * The keys it may have: whether COS percent-encodes the event's key is not documented, so where the two readings differ
   * both stand here, and the bucket decides.
   */
  keys: readonly string[]
  bucket: string
}

/**
 * Reads a COS trigger event (product/583/9707). Records that do not tell of a created object are left out; one that cannot be
 * read is undefined, and does not spoil its neighbours.
 * The region is not read: events carry a short code (`gz`) that no API understands.
 * @throws MattingError bad-event if it is no COS event at all.
 */
export function readEvent(event: unknown): (Arrival | undefined)[] {
  const { Records } = fields(event)
  if (!Array.isArray(Records)) throw new MattingError('bad-event')
  return Records.flatMap((record: unknown) => {
    const { cos, event } = fields(record)
    if (!String(fields(event).eventName).startsWith('cos:ObjectCreated:')) return []
    const { name, appid } = fields(fields(cos).cosBucket)
    const { key } = fields(fields(cos).cosObject)
    const prefix = `/${appid}/${name}/`
    // The exact prefix and no pattern: a key may itself look like `/1250000000/photos/…`.
    if (typeof key !== 'string' || !key.startsWith(prefix)) return [undefined]
    return [{ keys: readings(key.slice(prefix.length)), bucket: `${name}-${appid}` }]
  })
}

function fields(value: unknown): Record<string, unknown> {
  return Object(value)
}
