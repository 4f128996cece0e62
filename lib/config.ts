import { ANNOUNCEMENTS, type Announcement, readSecret } from './announce.ts'
import { RECORDS } from './cutout.ts'
import { MattingError } from './errors.ts'
import { plain } from './layout.ts'
import {
  type Fallbacks,
  type Folders,
  ON_FAILURE,
  ON_PENDING,
  type Preset,
  readFolders,
  readPresets,
} from './preset.ts'
import type { Credentials } from './sign.ts'
import { isUnder } from './source.ts'
import { decode, list } from './spelling.ts'

export interface Config extends Fallbacks {
  bucket: string
  region: string
  /** Origin of the bucket, such as `https://photos-1250000000.cos.ap-guangzhou.myqcloud.com`. */
  endpoint: string
  sourcePrefixes: readonly string[]
  /** Where cutouts and records go, and the origin of that bucket. */
  cutoutBucket: string
  cutoutEndpoint: string
  cutoutPrefix: string
  presets: ReadonlyMap<string, Preset>
  onUpload: Folders
  delivery: 'stored' | 'direct'
  onDelete: 'keep' | 'remove'
  eventsUrl: URL | undefined
  eventsSecret: Buffer | undefined
  events: readonly Announcement['type'][]
  deliveryUrl: string | undefined
  /** Signs presigned URLs in the role's place. */
  deliveryKey: Credentials | undefined
  access: (typeof ACCESS)[number]
  /** Key id → secret. */
  urlKeys: ReadonlyMap<string, string>
  detectHosts: readonly string[]
  /** Seconds. */
  redirectTtl: number
  /** Seconds. */
  urlWindow: number
  maxSourceBytes: number
  /** Seconds. */
  claimTime: number
  /** Paid calls a day. */
  dailyLimit: number
}

const BUCKET = /^[a-z0-9][a-z0-9-]*-\d+$/
const ACCESS = ['signed', 'presets', 'open'] as const
const DELIVERY = ['stored', 'direct'] as const
const ON_DELETE = ['keep', 'remove'] as const

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the configuration from environment variables; the README has the table.
 * @throws MattingError misconfigured, naming every mistake at once with the form expected.
 */
export function readConfig(env: Environment): Config {
  const problems: string[] = []
  /** Reads one variable; an empty one counts as not set. `undefined` from `read` is a mistake. */
  function variable<T>(
    name: string,
    standard: string | undefined,
    expected: string,
    read: (text: string) => T | undefined,
  ): T {
    const text = env[name]?.trim() || standard
    const value = text === undefined ? undefined : attempt(() => read(decode(text)))
    if (value === undefined) problems.push(`${name}: expected ${expected}`)
    // A placeholder is never seen: with a problem noted, readConfig throws before it returns.
    return value as T
  }
  function optional<T>(name: string, expected: string, read: (text: string) => T | undefined): T | undefined {
    return env[name]?.trim() ? variable(name, undefined, expected, read) : undefined
  }

  const bucket = variable('COS_BUCKET', undefined, 'name-appid, such as photos-1250000000', matching(BUCKET))
  const region = variable('COS_REGION', undefined, 'a region, such as ap-guangzhou', matching(/^[a-z]{2,}-[a-z0-9-]+$/))
  const presets = variable(
    'PRESETS',
    'plain:',
    'name: word, word, name: word, … of the words center-layout 1, padding-layout 20x10, on-pending …, on-failure …',
    readPresets,
  )
  const sourcePrefixes = variable(
    'SOURCE_PREFIXES',
    'uploads/',
    'folders, comma separated, each ending in /',
    readPrefixes,
  )
  const endpoint = variable(
    'COS_ENDPOINT',
    `https://${bucket}.cos.${region}.myqcloud.com`,
    'an http(s) origin without a path',
    readOrigin,
  )
  const sameAccount = (text: string) => BUCKET.test(text) && text.replace(/^.*-/, '') === bucket?.replace(/^.*-/, '')
  const cutoutBucket =
    optional('CUTOUT_BUCKET', 'name-appid, of the same account', (text) => (sameAccount(text) ? text : undefined)) ??
    bucket
  const config: Config = {
    bucket,
    region,
    endpoint,
    sourcePrefixes,
    cutoutBucket,
    cutoutEndpoint: variable(
      'CUTOUT_ENDPOINT',
      cutoutBucket === bucket ? endpoint : `https://${cutoutBucket}.cos.${region}.myqcloud.com`,
      'an http(s) origin without a path',
      readOrigin,
    ),
    cutoutPrefix: variable(
      'CUTOUT_PREFIX',
      'cutouts/',
      'an ASCII folder ending in /',
      matching(/^([A-Za-z0-9-][A-Za-z0-9.-]*\/){1,9}$/),
    ),
    presets,
    onUpload:
      optional(
        'ON_UPLOAD',
        'folder/: preset, preset, folder/: preset, … of presets that there are',
        // Where presets or folders are wrong themselves, it is not blamed for it.
        (text) => (sourcePrefixes && presets ? readFolders(text, presets) : []),
      ) ?? (sourcePrefixes ?? []).map((prefix) => [prefix, [plain]]),
    delivery: variable('DELIVERY', 'stored', DELIVERY.join(' or '), oneOf(DELIVERY)),
    deliveryUrl: optional('DELIVERY_URL', 'an http(s) origin without a path', readOrigin),
    deliveryKey: optional('DELIVERY_KEY', 'SecretId:SecretKey', readKey),
    access: variable('ACCESS', 'presets', ACCESS.join(', '), oneOf(ACCESS)),
    urlKeys:
      optional('URL_KEYS', 'id:secret, comma separated, each secret of at least 16 characters', readKeys) ?? new Map(),
    detectHosts:
      optional('DETECT_HOSTS', 'names of hosts in lower case, without ports, comma separated', readHosts) ?? [],
    onDelete: variable('ON_DELETE', 'keep', ON_DELETE.join(' or '), oneOf(ON_DELETE)),
    eventsUrl: optional('EVENTS_URL', 'an http(s) URL without a password', readUrl),
    eventsSecret: optional('EVENTS_SECRET', 'whsec_ and 24 to 64 bytes in base64', readSecret),
    events: variable(
      'EVENTS',
      'cutout.created, cutout.failed, cutout.deferred',
      `some of ${ANNOUNCEMENTS.join(', ')}`,
      (text) => {
        const types = list(text, ',').map((name) => ANNOUNCEMENTS.find((type) => type === name))
        return types.length > 0 && types.every((type) => type !== undefined) ? types : undefined
      },
    ),
    onPending: variable('ON_PENDING', 'wait', ON_PENDING.join(', '), oneOf(ON_PENDING)),
    onFailure: variable('ON_FAILURE', 'error', ON_FAILURE.join(' or '), oneOf(ON_FAILURE)),
    redirectTtl: variable('REDIRECT_TTL', '300', 'seconds, 0 to 86400', integer(0, 86_400)),
    urlWindow: variable('URL_WINDOW', '900', 'seconds, 60 to 86400', integer(60, 86_400)),
    claimTime: variable('CLAIM_TIME', '60', 'seconds, 6 to 900', integer(6, 900)),
    dailyLimit:
      optional(
        'DAILY_LIMIT',
        'a whole number of paid calls a day; none set is no limit',
        integer(0, Number.MAX_SAFE_INTEGER),
      ) ?? Number.POSITIVE_INFINITY,
    maxSourceBytes: variable('MAX_SOURCE_BYTES', '33554432', 'bytes', integer(1, Number.MAX_SAFE_INTEGER)),
  }
  for (const source of sourcePrefixes ?? []) {
    if (config.cutoutPrefix && cutoutBucket === bucket && overlap(source, config.cutoutPrefix)) {
      problems.push(
        `CUTOUT_PREFIX ${config.cutoutPrefix} and SOURCE_PREFIXES ${source} overlap: the functions would cut out their own cutouts`,
      )
    }
    if (overlap(source, RECORDS))
      problems.push(`SOURCE_PREFIXES ${source} overlaps with ${RECORDS}, where this project keeps its records`)
  }
  for (const [folder] of config.onUpload ?? []) {
    if (!isUnder(folder, sourcePrefixes)) problems.push(`ON_UPLOAD ${folder}: not under SOURCE_PREFIXES`)
  }
  if (config.eventsUrl && !config.eventsSecret) problems.push('EVENTS_SECRET: needed for EVENTS_URL')
  if (config.access === 'signed' && config.urlKeys?.size === 0) problems.push('URL_KEYS: needed for ACCESS=signed')
  if (config.detectHosts?.length > 0 && config.access === 'presets') {
    // A host may answer any number of URLs with a picture, and each would be another paid call.
    problems.push('DETECT_HOSTS: needs ACCESS=signed, or open if anybody may spend')
  }
  const original = [config, ...(presets?.values() ?? [])].some(
    ({ onPending, onFailure }) => onPending === 'original' || onFailure === 'original',
  )
  if (original && !config.deliveryUrl && !config.deliveryKey) {
    // COS verifies only what a signature lists: with `&ci-process=…` appended, it would be a paid call of the role's.
    problems.push(
      'ON_PENDING, ON_FAILURE original: needs DELIVERY_URL or DELIVERY_KEY, because the URL of a photo that the paying role has signed can be turned into another paid call',
    )
  }
  if (config.delivery === 'direct' && config.access === 'presets') {
    problems.push(
      'DELIVERY=direct: needs ACCESS=signed, or open if anybody may spend; each fetch of such a URL is paid',
    )
  }
  if (config.delivery === 'direct' && config.dailyLimit < Number.POSITIVE_INFINITY) {
    problems.push('DAILY_LIMIT: cannot hold with DELIVERY=direct, where whoever opens the URL makes the paid call')
  }
  if (problems.length > 0) throw new MattingError('misconfigured', problems.join('\n'))
  return config
}

/**
 * The credentials of the execution role, from the environment. They rotate: read them at every invocation.
 * @throws MattingError misconfigured if the function has no role.
 */
export function readCredentials(env: Environment): Credentials {
  const { TENCENTCLOUD_SECRETID: secretId, TENCENTCLOUD_SECRETKEY: secretKey, TENCENTCLOUD_SESSIONTOKEN: token } = env
  if (!secretId || !secretKey) throw new MattingError('misconfigured', 'The function has no execution role.')
  return { secretId, secretKey, ...(token && { token }) }
}

function overlap(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function matching(form: RegExp): (text: string) => string | undefined {
  return (text) => (form.test(text) ? text : undefined)
}

function integer(min: number, max: number): (text: string) => number | undefined {
  return (text) => (/^\d{1,16}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined)
}

function oneOf<T extends string>(choices: readonly T[]): (text: string) => T | undefined {
  return (text) => choices.find((choice) => choice === text)
}

function readKey(text: string): Credentials | undefined {
  const [, secretId, secretKey] = /^([\w-]+):(\S+)$/.exec(text) ?? []
  return secretId && secretKey ? { secretId, secretKey } : undefined
}

function readKeys(text: string): Map<string, string> | undefined {
  const entries = list(text, ',').map((entry) => /^([\w-]{1,32}):(\S{16,})$/.exec(entry))
  const keys = new Map(entries.map((match) => [match?.[1] ?? '', match?.[2] ?? '']))
  return keys.size === entries.length && !keys.has('') ? keys : undefined
}

function readHosts(text: string): string[] | undefined {
  const hosts = list(text, ',')
  return hosts.every((host) => /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*$/.test(host)) ? hosts : undefined
}

function readUrl(text: string): URL | undefined {
  const url = new URL(text)
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : undefined
}

function readOrigin(text: string): string | undefined {
  const { origin, protocol, href } = new URL(text)
  return /^https?:$/.test(protocol) && href === `${origin}/` ? origin : undefined
}

function readPrefixes(text: string): string[] | undefined {
  const prefixes = list(text, ',')
  return prefixes.length > 0 &&
    prefixes.every((prefix) => /^[^/*][^*]*\/$/.test(prefix) && !/(^|\/)\.{0,2}\//.test(prefix))
    ? prefixes
    : undefined
}
