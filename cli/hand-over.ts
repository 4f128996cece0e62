import type { Config } from '../lib/config.ts'
import { encodeKey } from '../lib/sign.ts'
import type { ApiCall } from './api.ts'
import { scf } from './function.ts'

/**
 * Gives a function the event that COS sends when an object is stored; the platform delivers it later, again if it fails, and
 * keeps it as a dead letter. The function looks before it pays, so an event too many costs nothing.
 */
export function handing(
  { bucket, region }: Config,
  name: string,
  { key, size, written }: { key: string; size: number; written: number },
): ApiCall {
  const [, bucketName = '', appid = ''] = /^(.*)-(\d+)$/.exec(bucket) ?? []
  const cosObject = { key: `/${appid}/${bucketName}${encodeKey(key)}`, size, meta: {}, vid: '' }
  const cosBucket = { region, name: bucketName, appid }
  const event = { eventName: 'cos:ObjectCreated:Put', eventTime: Math.floor(written / 1000), eventSource: 'qcs::cos' }
  const ClientContext = JSON.stringify({ Records: [{ cos: { cosObject, cosBucket }, event }] })
  return scf('Invoke', { FunctionName: name, InvocationType: 'Event', ClientContext })
}
