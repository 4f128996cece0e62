import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Answer, Refusal, xml, xmlAnswer } from './answer.ts'
import type { Call, Cloud } from './cloud.ts'
import type { StrictRule } from './strict.ts'

interface Bucket {
  region: string
  /** ms since the epoch */
  created: number
  /** Cloud Infinite is bound to it. */
  bound: boolean
  /** AI content recognition was opened for it, when: ms since the epoch. */
  ai: number | null
  /** The rules of its strict signature mode. */
  strict?: StrictRule[]
}

/** The buckets and what is switched on for them, in `buckets.json`. */
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

  set(name: string, bucket: Bucket): void {
    this.#buckets.set(name, bucket)
    writeFileSync(`${this.#file}.tmp`, JSON.stringify([...this.#buckets]))
    renameSync(`${this.#file}.tmp`, this.#file)
  }

  list(): [string, Bucket][] {
    return [...this.#buckets]
  }
}

/** @param home region of the buckets that were written down before there were any */
function parseBuckets(text: string, home: string): [string, Bucket][] {
  const entries: unknown = JSON.parse(text)
  const isEntry = (entry: unknown): entry is [string, Omit<Bucket, 'region'>] => {
    const [name, bucket] = Array.isArray(entry) ? entry : []
    const { region = home, created, bound, ai, strict = [] } = Object(bucket) as Partial<Record<keyof Bucket, unknown>>
    return (
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

function isStrictRule(rule: unknown): rule is StrictRule {
  const { id, actions, headers, params } = Object(rule) as Partial<Record<keyof StrictRule, unknown>>
  const isTexts = (list: unknown) => Array.isArray(list) && list.every((text) => typeof text === 'string')
  return typeof id === 'string' && [actions, headers, params].every(isTexts)
}

/** The account: every bucket's name ends in it. */
export function appid(bucket: string): string {
  return bucket.slice(bucket.lastIndexOf('-') + 1)
}

/** PUT Bucket (product/436/7738): any further bucket of the same account, in any region, with nothing switched on. */
export async function putBucket(cloud: Cloud, { request: { bucket, region } }: Call): Promise<Answer> {
  if (!/^[a-z0-9][a-z0-9-]*-\d+$/.test(bucket) || bucket.length > 60) throw new Refusal('InvalidArgument')
  if (appid(bucket) !== appid(cloud.bucket)) throw new Refusal('AccessDenied')
  if (cloud.buckets.get(bucket)) throw new Refusal('BucketAlreadyOwnedByYou')
  cloud.buckets.set(bucket, { region, created: cloud.now(), bound: false, ai: null })
  return { status: 200 }
}

export async function headBucket(_: Cloud, { request: { region } }: Call): Promise<Answer> {
  return { status: 200, headers: { 'x-cos-bucket-region': region } }
}

/** "Binding a bucket", on the `.pic.` host of Cloud Infinite. */
export async function bind(cloud: Cloud, { request: { bucket } }: Call): Promise<Answer> {
  cloud.buckets.set(bucket, { ...known(cloud, bucket), bound: true })
  return { status: 200 }
}

export async function unbind(cloud: Cloud, { request: { bucket } }: Call): Promise<Answer> {
  cloud.buckets.set(bucket, { ...known(cloud, bucket), bound: false })
  return { status: 200 }
}

export async function bindingStatus(cloud: Cloud, { request: { bucket } }: Call): Promise<Answer> {
  return xmlAnswer({ CIStatus: known(cloud, bucket).bound ? 'on' : 'off' })
}

/** Opening AI content recognition, without which there is no GoodsMatting. Opening it twice is no error. */
export async function openAi(cloud: Cloud, { request: { bucket, id } }: Call): Promise<Answer> {
  const before = known(cloud, bucket)
  const opened = { ...before, ai: before.ai ?? cloud.now() }
  cloud.buckets.set(bucket, opened)
  return ciAnswer(id, { AiBucket: aiBucket(bucket, opened) })
}

export async function closeAi(cloud: Cloud, { request: { bucket, id } }: Call): Promise<Answer> {
  cloud.buckets.set(bucket, { ...known(cloud, bucket), ai: null })
  return ciAnswer(id, { BucketName: bucket })
}

export async function listAi(cloud: Cloud, { request: { id, query } }: Call): Promise<Answer> {
  const list = (name: string) => (query.get(name) ?? '').split(',').filter((text) => text !== '')
  const [names, regions] = [list('bucketNames'), list('regions')]
  const part = query.get('bucketName') ?? ''
  const number = (name: string, otherwise: number) => {
    const value = Number(query.get(name) || otherwise)
    if (!Number.isInteger(value) || value < 1 || value > 100)
      throw new Refusal('InvalidArgument', `${name} is not valid.`)
    return value
  }
  const [page, size] = [number('pageNumber', 1), number('pageSize', 10)]
  const open = cloud.buckets
    .list()
    .filter(([name, { ai }]) => ai !== null && (names.length === 0 || names.includes(name)) && name.includes(part))
    .filter(([, { region }]) => regions.length === 0 || regions.some((one) => one === 'All' || one === region))
  const shown = open.slice((page - 1) * size, page * size).map(([name, bucket]) => aiBucket(name, bucket))
  return ciAnswer(id, { TotalCount: open.length, PageNumber: page, PageSize: size, AiBucketList: shown })
}

function aiBucket(name: string, { region, ai, created }: Bucket): object {
  const at = new Date(ai ?? created).toISOString().replace(/\.\d+Z$/, '+0000')
  return { BucketId: name, Name: name, Region: region, CreateTime: at }
}

function ciAnswer(id: string, tree: object): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/xml', 'x-ci-request-id': id },
    body: xml({ Response: { RequestId: id, ...tree } }),
  }
}

export function known(cloud: Cloud, name: string): Bucket {
  const bucket = cloud.buckets.get(name)
  if (!bucket) throw new Refusal('NoSuchBucket')
  return bucket
}
