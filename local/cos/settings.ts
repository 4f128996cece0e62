import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { type Answer, Refusal, xmlAnswer } from './answer.ts'
import type { Bucket, CorsRule } from './buckets.ts'
import type { Call, State } from './state.ts'
import { readBody } from './write.ts'

/** product/436/8279: "64 KB"; 1000 lifecycle rules can take more. */
const MAX_CORS_BYTES = 64 * 1024
const MAX_BYTES = 1024 ** 2
const MAX_CORS_RULES = 100
const MAX_LIFECYCLE_RULES = 1000
const METHODS = ['GET', 'PUT', 'HEAD', 'POST', 'DELETE']

/** PUT Bucket cors (product/436/8279): replaces all rules. */
export async function putCors(state: State, { request }: Call): Promise<Answer> {
  const root = readRoot(await readBody(state, request, MAX_CORS_BYTES), 'CORSConfiguration')
  const { CORSRule: rules, ResponseVary: vary = 'false', ...others } = root
  if (!Array.isArray(rules) || rules.length > MAX_CORS_RULES || Object.keys(others).length > 0)
    throw new Refusal('MalformedXML')
  if (vary !== 'true' && vary !== 'false') throw new Refusal('MalformedXML')
  return change(state, request.bucket, { cors: { rules: rules.map(readCorsRule), vary: vary === 'true' } })
}

function readCorsRule(rule: unknown): CorsRule {
  const {
    ID: id = '',
    MaxAgeSeconds: age,
    AllowedOrigin,
    AllowedMethod,
    AllowedHeader,
    ExposeHeader,
    ...others
  } = Object(rule) as Record<string, unknown>
  const [origins, methods, headers, expose] = [AllowedOrigin, AllowedMethod, AllowedHeader, ExposeHeader].map(
    (list: unknown = []) => {
      if (!Array.isArray(list)) throw new Refusal('MalformedXML')
      return list.map(String)
    },
  )
  if (Object.keys(others).length > 0 || typeof id !== 'string' || !origins?.length || !methods?.length)
    throw new Refusal('MalformedXML')
  if (!methods.every((method) => METHODS.includes(method)))
    throw new Refusal('InvalidArgument', 'AllowedMethod is not valid.')
  // "The wildcard * is not supported."
  if (expose?.some((name) => name.includes('*'))) throw new Refusal('InvalidArgument', 'ExposeHeader has no wildcards.')
  const maxAge = age === undefined ? undefined : Number(age)
  if (maxAge !== undefined && !(Number.isInteger(maxAge) && maxAge >= 0))
    throw new Refusal('InvalidArgument', 'MaxAgeSeconds is not valid.')
  return { id, origins, methods, headers: headers ?? [], expose: expose ?? [], ...(maxAge !== undefined && { maxAge }) }
}

/** GET Bucket cors (product/436/8274). */
export async function getCors(state: State, { request: { bucket } }: Call): Promise<Answer> {
  const { cors } = state.buckets.known(bucket)
  if (!cors) throw new Refusal('NoSuchCORSConfiguration')
  const CORSRule = cors.rules.map(({ id, origins, methods, headers, expose, maxAge }) => ({
    ...(id !== '' && { ID: id }),
    AllowedOrigin: origins,
    AllowedMethod: methods,
    AllowedHeader: headers,
    ExposeHeader: expose,
    ...(maxAge !== undefined && { MaxAgeSeconds: maxAge }),
  }))
  return xmlAnswer({ CORSConfiguration: { CORSRule, ResponseVary: cors.vary } })
}

/** DELETE Bucket cors (product/436/8283). */
export async function deleteCors(state: State, { request: { bucket } }: Call): Promise<Answer> {
  return { ...change(state, bucket, { cors: undefined }), status: 204 }
}

const ACTIONS = [
  'Transition',
  'Expiration',
  'NoncurrentVersionTransition',
  'NoncurrentVersionExpiration',
  'AbortIncompleteMultipartUpload',
]

/** PUT Bucket lifecycle (product/436/8280): replaces all rules. They are kept; nothing expires by them here. */
export async function putLifecycle(state: State, { request }: Call): Promise<Answer> {
  const { Rule: rules, ...others } = readRoot(await readBody(state, request, MAX_BYTES), 'LifecycleConfiguration')
  if (!Array.isArray(rules) || rules.length > MAX_LIFECYCLE_RULES || Object.keys(others).length > 0)
    throw new Refusal('MalformedXML')
  const ids = rules.map((rule: unknown) => {
    const { ID: id, Filter, Status, ...actions } = Object(rule) as Record<string, unknown>
    const names = Object.keys(actions)
    if (Status !== 'Enabled' && Status !== 'Disabled') throw new Refusal('MalformedXML')
    if (Filter === undefined || names.length === 0 || !names.every((name) => ACTIONS.includes(name)))
      throw new Refusal('MalformedXML')
    for (const action of Object.values(actions)) {
      const { Days, Date: day } = Object(action) as Record<string, unknown>
      // "One rule cannot have both."
      if (Days !== undefined && day !== undefined)
        throw new Refusal('InvalidArgument', 'A rule has both Days and Date.')
      if (Days !== undefined && !/^\d{1,5}$/.test(String(Days)))
        throw new Refusal('InvalidArgument', 'Days is not valid.')
    }
    return id
  })
  const given = ids.filter((id) => id !== undefined)
  if (new Set(given).size < given.length) throw new Refusal('InvalidArgument', 'An ID is repeated.')
  return change(state, request.bucket, { lifecycle: rules })
}

/** GET Bucket lifecycle (product/436/8278). */
export async function getLifecycle(state: State, { request: { bucket } }: Call): Promise<Answer> {
  const { lifecycle } = state.buckets.known(bucket)
  if (!lifecycle) throw new Refusal('NoSuchLifecycleConfiguration')
  return xmlAnswer({ LifecycleConfiguration: { Rule: lifecycle } })
}

/** DELETE Bucket lifecycle (product/436/8284). */
export async function deleteLifecycle(state: State, { request: { bucket } }: Call): Promise<Answer> {
  return { ...change(state, bucket, { lifecycle: undefined }), status: 204 }
}

/** PUT Bucket versioning (product/436/19889). Here no versions are kept; but x-cos-forbid-overwrite ceases to work, as there. */
export async function putVersioning(state: State, { request }: Call): Promise<Answer> {
  const text = await readBody(state, request, MAX_BYTES)
  if (text === '') throw new Refusal('InvalidArgument')
  const { Status } = readRoot(text, 'VersioningConfiguration')
  // The page names this code for it.
  if (Status !== 'Enabled' && Status !== 'Suspended')
    throw new Refusal('InvalidDigest', 'Status is Enabled or Suspended.')
  return change(state, request.bucket, { versioning: Status })
}

/** GET Bucket versioning (product/436/19888): "if it was never on, no status is told". */
export async function getVersioning(state: State, { request: { bucket } }: Call): Promise<Answer> {
  const { versioning } = state.buckets.known(bucket)
  return xmlAnswer({ VersioningConfiguration: versioning ? { Status: versioning } : '' })
}

type Settings = { [name in 'cors' | 'lifecycle' | 'versioning']?: Bucket[name] | undefined }

function change(state: State, bucket: string, settings: Settings): Answer {
  const { cors, lifecycle, versioning, ...others } = { ...state.buckets.known(bucket), ...settings }
  const kept = { ...(cors && { cors }), ...(lifecycle && { lifecycle }), ...(versioning && { versioning }) }
  state.buckets.set(bucket, { ...others, ...kept })
  return { status: 200 }
}

const LISTS = ['CORSRule', 'AllowedOrigin', 'AllowedMethod', 'AllowedHeader', 'ExposeHeader', 'Rule']
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const parser = new XMLParser({
  parseTagValue: false,
  processEntities: false,
  ignoreDeclaration: true,
  isArray: (name) => LISTS.includes(name),
  // The five of XML itself; those that a document defines are not looked at.
  tagValueProcessor: (_name, value) =>
    value.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? ''),
})

function readRoot(text: string, name: string): Record<string, unknown> {
  if (XMLValidator.validate(text) !== true) throw new Refusal('MalformedXML')
  const tree: unknown = parser.parse(text)
  const root: unknown = Object(tree)[name]
  if (root === undefined) throw new Refusal('MalformedXML')
  return Object(root || {})
}
