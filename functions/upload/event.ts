import { MattingError } from '../../lib/errors.ts'
import { fields } from '../../lib/fields.ts'
import { readings } from '../../lib/readings.ts'

/** An object that was stored or deleted, with what its event tells. */
export interface Arrival {
  kind: 'created' | 'removed'
  /**
   * The keys it may have. It is not documented whether COS percent-encodes the event's key, so if the two readings differ both
   * are here, and the bucket decides.
   */
  keys: readonly string[]
  bucket: string
  /** Bytes. */
  size?: number
  /** Content-Type; COS sometimes leaves it empty. */
  type?: string
}

/**
 * Reads a COS trigger event (product/583/9707). Records of other events are left out. A record that cannot be read becomes
 * undefined, and the others still count. The region is not read: events carry a short code (`gz`) that no API understands. The
 * url is not read either, because it may be missing.
 * @throws MattingError bad-event if it is no COS event at all.
 */
export function readEvent(event: unknown): (Arrival | undefined)[] {
  const { Records } = fields(event)
  if (!Array.isArray(Records)) throw new MattingError('bad-event')
  return Records.flatMap((record: unknown) => {
    const { cos, event } = fields(record)
    const { eventName } = fields(event)
    if (typeof eventName !== 'string') return [undefined]
    // `cos: ObjectRemove:Delete` is in older documents (product/583/9707); in others `cos:` is missing.
    const [, what] = /^(?:cos:)?object(created|remove):/.exec(eventName.replace(/\s/g, '').toLowerCase()) ?? []
    if (!what) return []
    const { name, appid } = fields(fields(cos).cosBucket)
    const { key, size, meta } = fields(fields(cos).cosObject)
    const { 'Content-Type': type } = fields(meta)
    const prefix = `/${appid}/${name}/`
    // The exact prefix and no pattern, because a key itself may look like `/1250000000/photos/…`. No key can hold half a
    // surrogate pair.
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
