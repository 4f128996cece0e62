import { ANNOUNCEMENTS, type Announcement, readSecret } from './announce.ts'
import { RECORDS } from './cutout.ts'
import { MattingError } from './errors.ts'
import { integer, matching, oneOf, readHosts, readKey, readKeys, readOrigin, readPrefixes, readUrl } from './form.ts'
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
import { quietly } from './quietly.ts'
import type { Credentials } from './sign.ts'
import { isUnder } from './source.ts'
import { decode, list } from './spelling.ts'
import { VIEW_WORDS } from './view.ts'

export interface Config extends Fallbacks {
  bucket: string
  region: string
  /** Origin of the bucket, such as `https://photos-1250000000.cos.ap-guangzhou.myqcloud.com`. */
  endpoint: string
  sourcePrefixes: readonly string[]
  /** The bucket of cutouts and records, and its origin. */
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
  /** Signs presigned URLs instead of the role's key. */
  deliveryKey: Credentials | undefined
  access: (typeof ACCESS)[number]
  /** Key id → secret. */
  urlKeys: ReadonlyMap<string, string>
  detectHosts: readonly string[]
  /** Whether views may be AVIF, which is billed for each call. */
  avif: boolean
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
const EVENTS = ['cutout.created', 'cutout.failed', 'cutout.deferred'] as const

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the configuration from environment variables; docs/configure.md has the table.
 * @throws MattingError misconfigured, naming every mistake at once with the form expected.
 */
export function readConfig(env: Environment): Config {
  const problems: string[] = []
  /** Reads one variable; an empty one counts as not set. If `read` returns undefined, the value is a mistake. */
  function variable<T>(
    name: string,
    standard: string,
    expected: string,
    read: (text: string) => T | undefined,
  ): Read<T> {
    const text = env[name]?.trim() || standard
    const value = text === '' ? undefined : quietly(() => read(decode(text)))
    if (value !== undefined) return value
    problems.push(`${name}: expected ${expected}`)
    return WRONG
  }
  function optional<T, U>(
    name: string,
    unset: U,
    expected: string,
    read: (text: string) => T | undefined,
  ): Read<T> | U {
    return env[name]?.trim() ? variable(name, '', expected, read) : unset
  }
  const origin = 'an http(s) origin without a path'
  const hostOf = (bucket: Read<string>) =>
    bucket === WRONG || region === WRONG ? 'https://wrong.invalid' : `https://${bucket}.cos.${region}.myqcloud.com`

  const bucket = variable('COS_BUCKET', '', 'name-appid, such as photos-1250000000', matching(BUCKET))
  const region = variable('COS_REGION', '', 'a region, such as ap-guangzhou', matching(/^[a-z]{2,}-[a-z0-9-]+$/))
  const words = `of the words center-layout 1, padding-layout 20x10, on-pending …, on-failure …, store 1, and those of a view: ${VIEW_WORDS}`
  const presets = variable('PRESETS', 'plain:', `name: word, word, name: word, … ${words}`, readPresets)
  const sourcePrefixes = variable(
    'SOURCE_PREFIXES',
    'uploads/',
    'folders, comma separated, each ending in /',
    readPrefixes,
  )
  const endpoint = variable('COS_ENDPOINT', hostOf(bucket), origin, readOrigin)
  const account = (name: string) => name.replace(/^.*-/, '')
  // If COS_BUCKET itself is wrong, nothing can be compared with it.
  const ofAccount = (text: string) =>
    BUCKET.test(text) && (bucket === WRONG || account(text) === account(bucket)) ? text : undefined
  const cutoutBucket = optional('CUTOUT_BUCKET', bucket, 'name-appid, of the same account', ofAccount)
  const folder = matching(/^([A-Za-z0-9-][A-Za-z0-9.-]*\/){1,9}$/)
  const config: { [Name in keyof Config]: Read<Config[Name]> } = {
    bucket,
    region,
    endpoint,
    sourcePrefixes,
    cutoutBucket,
    cutoutEndpoint:
      cutoutBucket === bucket
        ? optional('CUTOUT_ENDPOINT', endpoint, origin, readOrigin)
        : variable('CUTOUT_ENDPOINT', hostOf(cutoutBucket), origin, readOrigin),
    cutoutPrefix: variable('CUTOUT_PREFIX', 'cutouts/', 'an ASCII folder ending in /', folder),
    presets,
    onUpload: optional(
      'ON_UPLOAD',
      sourcePrefixes === WRONG ? WRONG : sourcePrefixes.map((prefix) => [prefix, [plain]] as const),
      'folder/: preset, preset, folder/: preset, … of presets that exist',
      // If PRESETS itself is wrong, ON_UPLOAD is not reported as well.
      (text) => (presets === WRONG ? [] : readFolders(text, presets)),
    ),
    delivery: variable('DELIVERY', 'stored', DELIVERY.join(' or '), oneOf(DELIVERY)),
    deliveryUrl: optional('DELIVERY_URL', undefined, origin, readOrigin),
    deliveryKey: optional('DELIVERY_KEY', undefined, 'SecretId:SecretKey', readKey),
    access: variable('ACCESS', 'presets', ACCESS.join(', '), oneOf(ACCESS)),
    urlKeys: optional(
      'URL_KEYS',
      new Map(),
      'id:secret, comma separated, each secret of at least 16 characters',
      readKeys,
    ),
    detectHosts: optional(
      'DETECT_HOSTS',
      [],
      'names of hosts in lower case, without ports, comma separated',
      readHosts,
    ),
    avif: variable('AVIF', 'off', 'on or off', (text) => ({ on: true, off: false })[text]),
    onDelete: variable('ON_DELETE', 'keep', ON_DELETE.join(' or '), oneOf(ON_DELETE)),
    eventsUrl: optional('EVENTS_URL', undefined, 'an http(s) URL without a password', readUrl),
    eventsSecret: optional('EVENTS_SECRET', undefined, 'whsec_ and 24 to 64 bytes in base64', readSecret),
    events: variable('EVENTS', EVENTS.join(', '), `some of ${ANNOUNCEMENTS.join(', ')}`, readEvents),
    onPending: variable('ON_PENDING', 'wait', ON_PENDING.join(', '), oneOf(ON_PENDING)),
    onFailure: variable('ON_FAILURE', 'error', ON_FAILURE.join(' or '), oneOf(ON_FAILURE)),
    redirectTtl: variable('REDIRECT_TTL', '300', 'seconds, 0 to 86400', integer(0, 86_400)),
    urlWindow: variable('URL_WINDOW', '900', 'seconds, 60 to 86400', integer(60, 86_400)),
    claimTime: variable('CLAIM_TIME', '60', 'seconds, 6 to 900', integer(6, 900)),
    dailyLimit: optional(
      'DAILY_LIMIT',
      Number.POSITIVE_INFINITY,
      'a whole number of paid calls a day; without it there is no limit',
      integer(0, Number.MAX_SAFE_INTEGER),
    ),
    maxSourceBytes: variable('MAX_SOURCE_BYTES', '33554432', 'bytes', integer(1, Number.MAX_SAFE_INTEGER)),
  }
  problems.push(...crossChecks(config))
  if (problems.length > 0 || !isRight(config)) throw new MattingError('misconfigured', problems.join('\n'))
  return config
}

/** Stands for a value that is malformed and already reported. */
const WRONG = Symbol('wrong')
type Read<T> = T | typeof WRONG

function isRight(config: { [Name in keyof Config]: Read<Config[Name]> }): config is Config {
  return Object.values(config).every((value) => value !== WRONG)
}

/** Finds values that contradict each other. A value that is wrong by itself is not compared. */
function* crossChecks(config: { [Name in keyof Config]: Read<Config[Name]> }): Generator<string> {
  const { bucket, cutoutBucket, cutoutPrefix, onUpload, presets, access, delivery, dailyLimit } = config
  const sources = config.sourcePrefixes === WRONG ? [] : config.sourcePrefixes
  for (const source of sources) {
    if (cutoutPrefix !== WRONG && cutoutBucket === bucket && overlap(source, cutoutPrefix))
      yield `CUTOUT_PREFIX ${cutoutPrefix} and SOURCE_PREFIXES ${source} overlap: the functions would cut out their own cutouts`
    if (overlap(source, RECORDS))
      yield `SOURCE_PREFIXES ${source} overlaps with ${RECORDS}, where this project keeps its records`
  }
  for (const [folder] of onUpload === WRONG || sources.length === 0 ? [] : onUpload) {
    if (!isUnder(folder, sources)) yield `ON_UPLOAD ${folder}: not under SOURCE_PREFIXES`
  }
  if (config.eventsUrl instanceof URL && config.eventsSecret === undefined) yield 'EVENTS_SECRET: needed for EVENTS_URL'
  if (access === 'signed' && config.urlKeys !== WRONG && config.urlKeys.size === 0)
    yield 'URL_KEYS: needed for ACCESS=signed'
  // A host may answer any number of URLs with a picture, and each of them would be a paid call.
  if (access === 'presets' && config.detectHosts !== WRONG && config.detectHosts.length > 0)
    yield 'DETECT_HOSTS: needs ACCESS=signed, or open if anybody may spend'
  const fallbacks = [config, ...(presets === WRONG ? [] : presets.values())]
  const original = fallbacks.some(({ onPending, onFailure }) => onPending === 'original' || onFailure === 'original')
  // COS verifies only what a signature lists: anybody could append `&ci-process=…`, and the role would pay for the call.
  if (original && !config.deliveryUrl && !config.deliveryKey)
    yield 'ON_PENDING, ON_FAILURE original: needs DELIVERY_URL or DELIVERY_KEY, because the URL of a photo that the paying role has signed can be turned into another paid call'
  for (const [name, { views = [], stored }] of presets === WRONG ? [] : presets) {
    if (views.some(({ format }) => format === 'avif') && config.avif === false)
      yield `PRESETS ${name}: avif needs AVIF=on; each call is billed as advanced compression`
    if (stored && (views.length === 0 || views.some(({ format }) => format === 'auto')))
      yield `PRESETS ${name}: store needs a view, in one format`
    if (views.length > 0 && delivery === 'direct')
      yield `PRESETS ${name}: DELIVERY=direct stores no cutout of which a view could be shown`
  }
  if (delivery === 'direct' && access === 'presets')
    yield 'DELIVERY=direct: needs ACCESS=signed, or open if anybody may spend; each fetch of such a URL is paid'
  if (delivery === 'direct' && dailyLimit !== WRONG && dailyLimit < Number.POSITIVE_INFINITY)
    yield 'DAILY_LIMIT: cannot hold with DELIVERY=direct, where whoever opens the URL makes the paid call'
}

function readEvents(text: string): Announcement['type'][] | undefined {
  const names = list(text, ',')
  const types = names.flatMap((name) => ANNOUNCEMENTS.filter((type) => type === name))
  return names.length > 0 && types.length === names.length ? types : undefined
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
