import { Agent } from 'node:http'
import { type Answer, type Listed, readPage } from '../lib/answer.ts'
import { MattingError } from '../lib/errors.ts'
import { readBody, send, within } from '../lib/http.ts'
import { createRequests } from '../lib/request.ts'
import type { Credentials } from '../lib/sign.ts'

const VERSIONS = { cam: '2019-01-16', scf: '2018-04-16', cls: '2020-10-16' } as const
export type Service = keyof typeof VERSIONS

export type Fields = Readonly<Record<string, unknown>>

/** A request to the vendor's management API. */
export interface ApiCall {
  service: Service
  action: string
  params: Fields
}

/** A request to a bucket: to COS, or to the hosts on which Cloud Infinite is switched on. */
export interface BucketCall {
  bucket: string
  door: 'cos' | 'pic' | 'ci'
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Of an object, or '' for the bucket itself. */
  key: string
  query?: Record<string, string>
  headers?: Record<string, string>
  type?: string
  body?: string | Buffer
}

/** The account that is deployed into. */
export interface Account {
  region: string
  credentials: Credentials
  /** The ports of the local cloud, if it is that and no account. */
  local?: { cos: number; api: number; control: number }
  now: () => number
  random: () => number
  sleep: (ms: number) => Promise<unknown>
}

/** Of what is asked for by its URL; the local cloud's list of 10,000 invocations is longer than an answer of COS's. */
const MAX_ANSWER = 256 * 1024 * 1024
/** How long one step may wait for the vendor, in milliseconds. */
const PATIENCE = 120_000

/**
 * Sends a request to the management API. The local cloud is asked on 127.0.0.1 alone, whatever a resolver or a proxy says; its
 * host still begins with the service's name, which the SDK signs.
 * @throws MattingError with the vendor's code in front
 */
export async function call(
  { credentials, region, local }: Account,
  { service, action, params }: ApiCall,
): Promise<Fields> {
  const { secretId, secretKey, token } = credentials
  // Loaded only here: it takes longer than most commands.
  const { CommonClient } = await import('tencentcloud-sdk-nodejs-common')
  const client = new CommonClient(`${service}.tencentcloudapi.com`, VERSIONS[service], {
    credential: { secretId, secretKey, ...(token && { token }) },
    region,
    profile: {
      language: 'en-US',
      httpProfile:
        local === undefined
          ? {}
          : { protocol: 'http://', endpoint: `${service}.localhost:${local.api}`, agent: new Agent({ lookup: here }) },
    },
  })
  try {
    return fields(await client.request(action, params))
  } catch (error) {
    const { code = '', message } = fields(error)
    const text = `${action}: ${code ? `${code}: ` : ''}${message}`
    throw new MattingError('denied', code ? explain(text) : text + AGAIN + where(local), { cause: error })
  }
}

/** The vendor's error code of what `call` threw; '' if it has none. */
export function apiCode(error: unknown): string {
  return text(fields(error instanceof MattingError ? error.cause : undefined).code)
}

/** What `call` answers; undefined if the vendor says that there is no such thing. A key that it does not know is another matter. */
export async function find(account: Account, request: ApiCall): Promise<Fields | undefined> {
  try {
    return await call(account, request)
  } catch (error) {
    if (/^(?!AuthFailure).*(?:NotFound|NotExist)/i.test(apiCode(error))) return undefined
    throw error
  }
}

/** Sends a request to a bucket. @throws MattingError if it is not answered, or by a status that is not in `good` */
export async function ask(
  account: Account,
  request: BucketCall,
  good: readonly number[] = [200, 204],
): Promise<Answer> {
  const { bucket, door, method, key, query, headers, type, body } = request
  const { credentials, region, local, now, random } = account
  const host = `${bucket}.${door}.${region}.myqcloud.com`
  const endpoint = local === undefined ? `https://${host}` : `http://127.0.0.1:${local.cos}`
  const requests = createRequests({ endpoint, credentials, deadline: now() + PATIENCE, now, random })
  const what = `${method} ${host}/${key}${query ? `?${Object.keys(query).join('&')}` : ''}`
  const parts = { method, key, headers: { host, ...headers }, ...(query && { query }), ...(type && { type }) }
  const answer = await requests.free({ ...parts, ...(body !== undefined && { body }) }).catch((error: unknown) => {
    const { code, message, cause } = MattingError.from(error)
    throw new MattingError(code, `${what}: ${cause instanceof Error ? cause.message : message}${where(local)}`, {
      cause,
    })
  })
  if (good.includes(answer.status)) return answer
  const [, code = ''] = /<Code>(\w+)<\/Code>/.exec(answer.body.toString()) ?? []
  throw new MattingError('denied', `${what}: ${answer.status} ${code}`)
}

/** GETs a URL, or POSTs nothing to it, without following where it leads. @throws MattingError unavailable */
export async function get(url: string, method: 'GET' | 'POST' = 'GET'): Promise<Answer> {
  const { protocol, hostname, port, host, pathname, search } = new URL(url)
  // Browsers know these names, resolvers do not (RFC 6761, 6.3).
  const machine = hostname.endsWith('.localhost') ? '127.0.0.1' : hostname
  const request = { method, protocol, hostname: machine, port, path: `${pathname}${search}`, headers: { host } }
  try {
    const response = await send({ ...request, signal: within(PATIENCE) })
    return { status: response.statusCode ?? 0, headers: response.headers, body: await readBody(response, MAX_ANSWER) }
  } catch (cause) {
    throw new MattingError('unavailable', `${host} does not answer: ${Object(cause).message}`, { cause })
  }
}

/** The objects of a bucket under a prefix. */
export async function* objects(account: Account, bucket: string, prefix: string): AsyncGenerator<Listed> {
  for (let marker = ''; ; ) {
    const query = { prefix, marker, 'encoding-type': 'url' }
    const page = readPage(await ask(account, { bucket, door: 'cos', method: 'GET', key: '', query }), prefix)
    yield* page.objects
    const next = page.objects.at(-1)?.key
    if (!page.more || !next) return
    marker = next
  }
}

/** Polls until `look` has something to give. @throws MattingError timeout, saying what was waited for */
export async function until<T>(account: Account, what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = account.now() + PATIENCE
  for (let pause = 50; account.now() < end; pause = Math.min(2 * pause, 2_000)) {
    const found = await look()
    if (found !== undefined) return found
    await account.sleep(pause)
  }
  throw new MattingError('timeout', `Waited two minutes for ${what}. Run the command again.`)
}

export function fields(value: unknown): Fields {
  return Object(value)
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

export function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : []
}

/** The object in a text of JSON; none if it is none. */
export function json(value: unknown): Fields {
  try {
    return fields(JSON.parse(text(value)))
  } catch {
    return {}
  }
}

function where(local: Account['local']): string {
  return local === undefined ? '' : `. Does \`npm start\` (with --empty to deploy) run with --port ${local.cos}?`
}

/** What is done is not done twice, so after a refusal that passes, or an answer that was lost, this is always safe. */
const AGAIN = '. Run the command again: it goes on from there'

/** What the deployer can do about the refusals that are met most. */
function explain(said: string): string {
  const error = said.replace(/\.$/, '')
  if (/PassRole/i.test(error))
    return `${error}. Your user needs cam:PassRole for the role (docs/deploy.md has the policy).`
  if (/SignatureExpire/i.test(error)) return `${error}. This machine's clock is more than five minutes wrong: set it.`
  if (/RequestLimitExceeded|InternalError/i.test(error)) return error + AGAIN
  if (/AuthFailure|Unauthorized/i.test(error))
    return `${error}. Your keys are wrong, or your user may not do this (docs/deploy.md has the policy).`
  return said
}

/** Looks a name up on this machine alone. */
const here: NonNullable<ConstructorParameters<typeof Agent>[0]>['lookup'] = (_, { all }, callback) =>
  all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)
