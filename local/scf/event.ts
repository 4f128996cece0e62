import type { ObjectEvent } from '../cos/cos.ts'

/** The short codes that events hold instead of the region's name. */
const SHORT_CODES: Readonly<Record<string, string>> = {
  'ap-guangzhou': 'gz',
  'ap-shanghai': 'sh',
  'ap-beijing': 'bj',
  'ap-chengdu': 'cd',
  'ap-hongkong': 'hk',
  'ap-singapore': 'sg',
}

export function eventName({ kind, via }: ObjectEvent): string {
  return `cos:Object${kind === 'created' ? 'Created' : 'Remove'}:${via}`
}

/**
 * The event that COS sends to SCF about an object (product/583/9707), with all its oddities, such as the misspelt `unkown`.
 * It is not documented whether the key in it is percent-encoded, so that is a setting.
 */
export function cosEvent(event: ObjectEvent, keys: 'encoded' | 'raw'): unknown {
  const [, name, appid] = /^(.*)-(\d+)$/.exec(event.bucket) ?? []
  const encoded = event.key.split('/').map(encodeURIComponent).join('/')
  return {
    Records: [
      {
        cos: {
          cosSchemaVersion: '1.0',
          cosObject: {
            url: `http://${event.bucket}.cos.${event.region}.myqcloud.com/${encoded}`,
            meta: { 'x-cos-request-id': event.requestId, ...event.meta },
            vid: '',
            key: `/${appid}/${name}/${keys === 'encoded' ? encoded : event.key}`,
            size: event.size,
          },
          cosBucket: { region: SHORT_CODES[event.region] ?? event.region, name, appid },
          cosNotificationId: 'unkown',
        },
        event: {
          eventName: eventName(event),
          eventVersion: '1.0',
          eventTime: Math.floor(event.at / 1000),
          eventSource: 'qcs::cos',
          requestParameters: { requestSourceIP: '127.0.0.1', requestHeaders: { Authorization: event.authorization } },
          eventQueue: `qcs:0:scf:${event.region}:appid/${appid}:default.upload.$LATEST`,
          reservedInfo: '',
          reqid: 179398952,
        },
      },
    ],
  }
}

/** The key that an event is about, be it of COS or of the function URL (`/<layout>/<key>`); '' if it names none. */
export function keyOf(
  event: unknown,
  { eventKeys, paths }: { eventKeys: 'encoded' | 'raw'; paths: 'raw' | 'decoded' },
) {
  const { Records, path } = Object(event)
  const [record] = Array.isArray(Records) ? Records : []
  const { cosObject, cosBucket } = Object(Object(record).cos)
  const { name, appid } = Object(cosBucket)
  const { key } = Object(cosObject)
  const folder = `/${appid}/${name}/`
  if (typeof key === 'string' && key.startsWith(folder)) return read(key.slice(folder.length), eventKeys === 'encoded')
  const [, asked = ''] = /^\/[^/]+\/(.+)$/s.exec(typeof path === 'string' ? path : '') ?? []
  return read(asked, paths === 'raw')
}

function read(text: string, encoded: boolean): string {
  try {
    return encoded ? decodeURIComponent(text) : text
  } catch {
    return text
  }
}

/** Whether an event tells that an object is gone. */
export function isRemoval(event: unknown): boolean {
  const { Records } = Object(event)
  const [record] = Array.isArray(Records) ? Records : []
  return String(Object(Object(record).event).eventName).startsWith('cos:ObjectRemove')
}
