import { type Answer, Refusal, xml, xmlAnswer } from './answer.ts'
import { appid, type Bucket } from './buckets.ts'
import type { Call, State } from './state.ts'

/** PUT Bucket (product/436/7738): creates a further bucket of the same account, in any region, with nothing switched on. */
export async function putBucket(state: State, { request: { bucket, region } }: Call): Promise<Answer> {
  if (!/^[a-z0-9][a-z0-9-]*-\d+$/.test(bucket) || bucket.length > 60) throw new Refusal('InvalidArgument')
  if (appid(bucket) !== appid(state.bucket)) throw new Refusal('AccessDenied')
  if (state.buckets.get(bucket)) throw new Refusal('BucketAlreadyOwnedByYou')
  state.buckets.set(bucket, { region, created: state.now(), bound: false, ai: null })
  return { status: 200 }
}

export async function headBucket(_: State, { request: { region } }: Call): Promise<Answer> {
  return { status: 200, headers: { 'x-cos-bucket-region': region } }
}

/** Binds Cloud Infinite to a bucket, on its `.pic.` host. */
export async function bind(state: State, { request: { bucket } }: Call): Promise<Answer> {
  state.buckets.set(bucket, { ...state.buckets.known(bucket), bound: true })
  return { status: 200 }
}

export async function unbind(state: State, { request: { bucket } }: Call): Promise<Answer> {
  state.buckets.set(bucket, { ...state.buckets.known(bucket), bound: false })
  return { status: 200 }
}

export async function bindingStatus(state: State, { request: { bucket } }: Call): Promise<Answer> {
  return xmlAnswer({ CIStatus: state.buckets.known(bucket).bound ? 'on' : 'off' })
}

/** Opens AI content recognition, without which GoodsMatting is refused. Opening it twice is no error. */
export async function openAi(state: State, { request: { bucket, id } }: Call): Promise<Answer> {
  const before = state.buckets.known(bucket)
  const opened = { ...before, ai: before.ai ?? state.now() }
  state.buckets.set(bucket, opened)
  return ciAnswer(id, { AiBucket: aiBucket(bucket, opened) })
}

export async function closeAi(state: State, { request: { bucket, id } }: Call): Promise<Answer> {
  state.buckets.set(bucket, { ...state.buckets.known(bucket), ai: null })
  return ciAnswer(id, { BucketName: bucket })
}

export async function listAi(state: State, { request: { id, query } }: Call): Promise<Answer> {
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
  const open = state.buckets
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
