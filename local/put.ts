import type { IncomingMessage } from 'node:http'
import { imageUrl } from '../lib/access.ts'
import { createCos } from '../lib/cos.ts'
import { LongBody, readBody } from '../lib/http.ts'
import { readings } from '../lib/readings.ts'
import { type Credentials, encodeKey } from '../lib/sign.ts'
import { refuseKey, refuseObject } from '../lib/source.ts'
import { decode } from '../lib/spelling.ts'
import type { Clock } from './clock.ts'
import { printable } from './talk.ts'

/** Where the parts of the local cloud are, and the variables of its functions. */
export interface PutOptions {
  cosUrl: string
  imageUrl: string
  credentials: Credentials
  environment: () => Record<string, string>
  clock: Clock
}

const MAX_PHOTO = 32 * 1024 * 1024

/**
 * Puts a photo into the bucket for somebody who does not want to sign a request: `PUT /uploads/mug.jpg`. The trigger does the
 * rest. @returns what to tell @throws Error, saying why not
 */
export async function putPhoto(request: IncomingMessage, options: PutOptions): Promise<string> {
  const { cosUrl: endpoint, imageUrl, credentials, environment, clock } = options
  const [path = ''] = (request.url ?? '/').split('?')
  const [key = ''] = readings(path.slice(1))
  const variables = environment()
  const folders = (variables.SOURCE_PREFIXES ?? 'uploads/').split(',').map((folder) => decode(folder.trim()))
  const why = key === '' || key.endsWith('/') ? 'the photo has no name' : refuseKey(key, folders)
  if (why) throw new Error(`Nothing was put: ${why}. PUT a photo to /${folders[0]}<name>.`)
  const body = await readBody(request, MAX_PHOTO).catch((error: unknown) => {
    throw error instanceof LongBody ? new Error('Nothing was put: a photo has at most 32 MiB.') : error
  })
  // Without a type, as many tools send it: the name tells that it is a picture.
  const type = request.headers['content-type'] ?? 'application/octet-stream'
  const refused = refuseObject(key, { size: body.length, type })
  if (refused) throw new Error(`Nothing was put: ${refused}.`)
  const time = { deadline: clock.now() + 60_000, now: clock.now, random: Math.random }
  await createCos({ endpoint, credentials, ...time }).put(key, body, { type })
  return printable(`${key} is in the bucket. Its cutout: ${addressOf(imageUrl, variables, key, clock.now())}`).concat(
    '\n',
  )
}

/** The image URL of a photo, signed where it must be. */
export function addressOf(
  origin: string,
  { ACCESS, URL_KEYS = '' }: Record<string, string>,
  key: string,
  now: number,
): string {
  const [, id, secret] = /^\s*([^:]+):([^,\s]+)/.exec(decode(URL_KEYS)) ?? []
  const grant = { layout: 'plain', key, expires: Math.floor(now / 1000) + 3_600 }
  return ACCESS === 'signed' && id && secret ? imageUrl(origin, grant, id, secret) : `${origin}/plain${encodeKey(key)}`
}
