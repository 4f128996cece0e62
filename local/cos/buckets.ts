import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from './answer.ts'

export interface Bucket {
  region: string
  /** ms since the epoch */
  created: number
  /** Whether Cloud Infinite is bound to it. */
  bound: boolean
  /** When AI content recognition was opened for it, in ms since the epoch; null if it is closed. */
  ai: number | null
  /** The rules of its strict signature mode. */
  strict?: StrictRule[]
  cors?: CorsSettings
  /** The rules as they came. */
  lifecycle?: unknown[]
  /** Missing if it was never on. */
  versioning?: 'Enabled' | 'Suspended'
}

/** Which web pages may use it (product/436/8279). */
export interface CorsSettings {
  rules: CorsRule[]
  /** ResponseVary: every answer says that it differs by origin. */
  vary: boolean
}

export interface CorsRule {
  id: string
  origins: string[]
  methods: string[]
  headers: string[]
  expose: string[]
  /** Seconds. */
  maxAge?: number
}

/**
 * A rule of the strict signature mode (product/436/53892): the headers and parameters that must be signed if a request has
 * them.
 */
export interface StrictRule {
  id: string
  actions: string[]
  headers: string[]
  params: string[]
}

/** The buckets and their settings, in `buckets.json`. */
export class Buckets {
  readonly #file: string
  readonly #buckets: Map<string, Bucket>

  constructor(dir: string, names: readonly string[], region: string, now: number) {
    this.#file = join(dir, 'buckets.json')
    this.#buckets = new Map(existsSync(this.#file) ? parseBuckets(readFileSync(this.#file, 'utf8'), region) : [])
    for (const name of names)
      if (!this.#buckets.has(name)) this.set(name, { region, created: now, bound: true, ai: now })
  }

  get(name: string): Bucket | undefined {
    return this.#buckets.get(name)
  }

  /** @throws Refusal NoSuchBucket */
  known(name: string): Bucket {
    const bucket = this.get(name)
    if (!bucket) throw new Refusal('NoSuchBucket')
    return bucket
  }

  set(name: string, bucket: Bucket): void {
    this.#buckets.set(name, bucket)
    writeFileSync(`${this.#file}.tmp`, JSON.stringify([...this.#buckets]))
    renameSync(`${this.#file}.tmp`, this.#file)
  }

  list(): [string, Bucket][] {
    return [...this.#buckets]
  }
}

/** @param home the region of buckets from an older file, which has no regions */
function parseBuckets(text: string, home: string): [string, Bucket][] {
  const entries: unknown = JSON.parse(text)
  const isEntry = (entry: unknown): entry is [string, Omit<Bucket, 'region'>] => {
    const [name, bucket] = Array.isArray(entry) ? entry : []
    const { region = home, created, bound, ai, ...settings } = Object(bucket) as Partial<Record<keyof Bucket, unknown>>
    const { strict = [], cors = { rules: [], vary: false }, lifecycle = [], versioning = 'Enabled' } = settings
    return (
      isCors(cors) &&
      Array.isArray(lifecycle) &&
      (versioning === 'Enabled' || versioning === 'Suspended') &&
      typeof name === 'string' &&
      typeof region === 'string' &&
      typeof created === 'number' &&
      typeof bound === 'boolean' &&
      (typeof ai === 'number' || ai === null) &&
      Array.isArray(strict) &&
      strict.every(isStrictRule)
    )
  }
  if (Array.isArray(entries) && entries.every(isEntry))
    return entries.map(([name, bucket]) => [name, { region: home, ...bucket }])
  throw new Error('buckets.json does not describe buckets')
}

function isTexts(list: unknown): boolean {
  return Array.isArray(list) && list.every((text) => typeof text === 'string')
}

function isCors(cors: unknown): boolean {
  const { rules, vary } = Object(cors) as Partial<Record<keyof CorsSettings, unknown>>
  const isRule = (rule: unknown) => {
    const { origins, methods, headers, expose } = Object(rule) as Partial<Record<keyof CorsRule, unknown>>
    return [origins, methods, headers, expose].every(isTexts)
  }
  return typeof vary === 'boolean' && Array.isArray(rules) && rules.every(isRule)
}

function isStrictRule(rule: unknown): rule is StrictRule {
  const { id, actions, headers, params } = Object(rule) as Partial<Record<keyof StrictRule, unknown>>
  return typeof id === 'string' && [actions, headers, params].every(isTexts)
}

/** @throws Refusal unless Cloud Infinite is bound to the bucket. It is not documented which code the vendor answers then. */
export function checkBound(buckets: Buckets, name: string): void {
  if (!buckets.get(name)?.bound) throw new Refusal('NoProcessAuthority', 'Cloud Infinite is not bound to the bucket.')
}

/** The account's id, in which the name of every bucket ends. */
export function appid(bucket: string): string {
  return bucket.slice(bucket.lastIndexOf('-') + 1)
}
