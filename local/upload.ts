import { randomUUID } from 'node:crypto'
import type { Config } from '../lib/config.ts'
import { createCos } from '../lib/cos.ts'
import { layoutsOf } from '../lib/cut.ts'
import { MAX_KEY } from '../lib/cutout.ts'
import { createInvocation } from '../lib/invocation.ts'
import type { Layout } from '../lib/layout.ts'
import { presignUpload } from '../lib/pay/pay.ts'
import type { Credentials } from '../lib/sign.ts'
import { refuseKey, refuseObject } from '../lib/source.ts'
import type { Clock } from './clock.ts'
import type { Configured } from './configured.ts'
import type { Cos } from './cos/cos.ts'
import { PAGE, UPLOAD } from './grant.ts'
import type { UploadAsk, UploadGrant } from './page/wire.ts'

export interface UploadOptions {
  cos: Cos
  cosUrl: string
  configured: Configured
  /** Looks and claims, as a shop's own server would. */
  credentials: Credentials
  clock: Clock
}

/** How long an upload may be begun, in seconds. */
const LIFE = 300
/** What looking and claiming may take, in milliseconds. */
const TIME = 20_000
/** No file system has longer names. */
const MAX_NAME = 1_024

/** A request that is refused; `status` is that of the answer. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Signs the PUT of a photo, for a browser. @throws Refused, MattingError */
export async function grantUpload(json: unknown, options: UploadOptions): Promise<UploadGrant> {
  const { cos, cosUrl, configured, credentials, clock } = options
  const ask = readAsk(json)
  const config = configured.upload()
  if (!config) throw new Refused(503, 'No function takes photos yet: one is deployed with a trigger of type cos.')
  const key = keyFor(ask.name, config)
  // It would be stored, never be cut out, and never be shown either.
  const why = refuseObject(key, ask)
  if (why) throw new Refused(415, `It is ${why}; a photo is JPEG, PNG, WebP or BMP.`)
  const there = cos.objects.get(config.bucket, key)
  const same = there !== undefined && there.etag === ask.md5
  if (there && !same && !ask.replace) throw new Refused(409, `Another photo has the name ${key}.`)
  const { type, size, md5 } = ask
  // The name of another bucket leads to this machine for browsers and for the functions, not for this process.
  if (ask.way === 'two' && config.cutoutBucket === config.bucket) {
    if (md5 === undefined) throw new Refused(400, 'md5: expected that of the photo, which a paid upload is signed for')
    const time = { now: clock.now, random: Math.random, uuid: randomUUID, deadline: clock.now() + TIME }
    const invocation = createInvocation(
      { ...config, endpoint: cosUrl, cutoutEndpoint: cosUrl },
      { credentials, ...time },
    )
    const signed = await presignUpload(invocation, { key, md5, type, size }, layoutsFor(ask, key, config), UPLOAD)
    if (signed) return { key, ...signed, same, way: 'two' }
  }
  const headers = { 'content-type': type, ...(!there && !ask.replace && { 'x-cos-forbid-overwrite': 'true' }) }
  const signer = createCos({ endpoint: cosUrl, credentials: PAGE, deadline: 0, now: clock.now, random: Math.random })
  const start = Math.floor(clock.now() / 1000)
  // The browser sets content-length itself.
  const url = signer.presign(key, start - 60, start + LIFE, {
    method: 'PUT',
    headers: { ...headers, 'content-length': String(size) },
  })
  return { key, url, headers, same, way: 'plain' }
}

function readAsk(json: unknown): UploadAsk {
  const { name, type, size, way, md5, preset, replace } = Object(json) as Partial<Record<keyof UploadAsk, unknown>>
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME)
    throw new Refused(400, 'name: expected that of a file')
  // Some browsers know no type; COS then tells it by the name.
  if (typeof type !== 'string' || !/^(?:[\w.+-]+\/[\w.+-]+)?$/.test(type))
    throw new Refused(400, 'type: expected a media type, such as image/jpeg')
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 1)
    throw new Refused(400, 'size: expected how many bytes it has')
  if (way !== 'plain' && way !== 'two') throw new Refused(400, 'way: expected plain or two')
  if (md5 !== undefined && (typeof md5 !== 'string' || !/^[\da-f]{32}$/.test(md5)))
    throw new Refused(400, 'md5: expected 32 hex digits')
  if (preset !== undefined && typeof preset !== 'string') throw new Refused(400, 'preset: expected the name of one')
  return {
    name,
    type: type || 'application/octet-stream',
    size,
    way,
    ...(md5 !== undefined && { md5 }),
    ...(preset !== undefined && { preset }),
    replace: replace === true,
  }
}

/** The file's own name in the first source folder, as long as a key may be. */
function keyFor(name: string, { sourcePrefixes }: Config): string {
  const [folder = ''] = sourcePrefixes
  const file = name.replace(/^.*[\\/]/s, '').normalize()
  // Dots alone are no name that a URL could carry.
  const clean = /^\.*$/.test(file) || Buffer.from(file).toString() !== file ? 'photo' : file
  const [, base = clean, ending = ''] = /^(.+?)(\.\w{1,8})?$/s.exec(clean) ?? []
  let short = base
  while (Buffer.byteLength(folder + short + ending) > MAX_KEY) short = [...short].slice(0, -1).join('')
  const key = folder + short + ending
  const why = refuseKey(key, sourcePrefixes)
  if (why) throw new Refused(400, `name: ${why}`)
  return key
}

function layoutsFor({ preset }: UploadAsk, key: string, config: Config): readonly Layout[] {
  if (preset === undefined) return layoutsOf(key, { etag: '', size: 0, type: '', modified: 0 }, config)
  const named = config.presets.get(preset)
  if (!named)
    throw new Refused(400, `preset: there is no ${preset}; there are ${[...config.presets.keys()].join(', ')}`)
  return [named.layout]
}
