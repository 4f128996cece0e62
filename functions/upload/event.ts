import { MattingError } from '../../lib/errors.ts'
import { readings } from '../../lib/readings.ts'

/** An object that arrived or went, as far as its event tells. */
export interface Arrival {
  kind: 'created' | 'removed'
  /**
   * The keys it may have: whether COS percent-encodes the event's key is not documented, so where the two readings differ
   * both stand here, and the bucket decides.
   */
  keys: readonly string[]
  bucket: string
  /** Bytes. */
  size?: number
  /** Content-Type; COS leaves it empty at times. */
  type?: string
}

/**
 * Reads a COS trigger event (product/583/9707). Records that tell of something else are left out; one that cannot be read is
 * undefined, and does not spoil its neighbours.
 * The region is not read: events carry a short code (`gz`) that no API understands. Nor is the url, which may be missing.
 * @throws MattingError bad-event if it is no COS event at all.
 */
export function readEvent(event: unknown): (Arrival | undefined)[] {
  const { Records } = fields(event)
  if (!Array.isArray(Records)) throw new MattingError('bad-event')
  return Records.flatMap((record: unknown) => {
    const { cos, event } = fields(record)
    const { eventName } = fields(event)
    if (typeof eventName !== 'string') return [undefined]
    // `cos: ObjectRemove:Delete` stands in older documents (product/583/9707), elsewhere `cos:` is missing.
    const [, what] = /^(?:cos:)?object(created|remove):/.exec(eventName.replace(/\s/g, '').toLowerCase()) ?? []
    if (!what) return []
    const { name, appid } = fields(fields(cos).cosBucket)
    const { key, size, meta } = fields(fields(cos).cosObject)
    const { 'Content-Type': type } = fields(meta)
    const prefix = `/${appid}/${name}/`
    // The exact prefix and no pattern: a key may itself look like `/1250000000/photos/…`. Half a surrogate pair no key can hold.
    if (typeof key !== 'string' || !key.startsWith(prefix) || /\p{Cs}/u.test(key)) return [undefined]
    return [
      {
        kind: what === 'created' ? ('created' as const) : ('removed' as const),
        keys: readings(key.slice(prefix.length)),
        bucket: `${name}-${appid}`,
        ...(typeof size === 'number' && { size }),
        ...(typeof type === 'string' && type !== '' && { type }),
      },
    ]
  })
}

function fields(value: unknown): Record<string, unknown> {
  return Object(value)
}
