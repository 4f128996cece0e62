import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { type Answer, notImplemented, Refusal, xmlAnswer } from './answer.ts'
import type { StrictRule } from './buckets.ts'
import { wildcard } from './policy.ts'
import type { CosRequest } from './request.ts'
import type { Call, State } from './state.ts'
import { byEncodedName, type Signer } from './verify.ts'
import { readBody } from './write.ts'

const MAX_RULES = 10
/** The limit of the document, more than ten rules with full lists need. */
const MAX_BYTES = 1024 ** 2

const HEADER =
  /^(?:host|content-(?:length|type|md5)|range|x-cos-(?:\*|acl|grant-(?:read|write|read-acp|write-acp|full-control)))$/i

/** PUT Bucket StrictSignature (product/436/53889). */
export async function putStrict(state: State, { request }: Call): Promise<Answer> {
  const strict = readRules(await readBody(state, request, MAX_BYTES))
  state.buckets.set(request.bucket, { ...state.buckets.known(request.bucket), strict })
  return { status: 200 }
}

/** GET Bucket StrictSignature (product/436/53890). */
export async function getStrict(state: State, { request: { bucket } }: Call): Promise<Answer> {
  const { strict = [] } = state.buckets.known(bucket)
  const Rule = strict.map(({ id, actions, headers, params }) => ({
    ID: id,
    actionlist: { action: actions },
    ...(headers.length > 0 && { headerlist: { header: headers } }),
    ...(params.length > 0 && { paramlist: { param: params } }),
  }))
  return xmlAnswer({ StrictSignatureConfiguration: { Rule } })
}

/** DELETE Bucket StrictSignature (product/436/53891). */
export async function deleteStrict(state: State, { request: { bucket } }: Call): Promise<Answer> {
  state.buckets.set(bucket, { ...state.buckets.known(bucket), strict: [] })
  return { status: 204 }
}

/**
 * Refuses a request that has an unsigned header or parameter which the rules of its bucket want signed.
 * @param actions what the request does, as policies name it
 */
export function checkStrict(
  state: State,
  { bucket, headers, query }: CosRequest,
  actions: readonly string[],
  signed: Pick<Signer, 'headers' | 'params'>,
): void {
  const fits = (pattern: string, names: readonly string[]) =>
    names.some((name) => wildcard(pattern.toLowerCase())(name.toLowerCase()))
  const names = actions.map((action) => action.replace(/^(?:cos|ci):/, ''))
  const rules = state.buckets.get(bucket)?.strict?.filter((rule) => rule.actions.some((a) => fits(a, names))) ?? []
  const unsigned = ['host', ...byEncodedName(headers).keys()].filter((name) => !signed.headers.includes(name))
  if (rules.some((rule) => rule.headers.some((header) => fits(header, unsigned))))
    throw new Refusal('AccessDenied', 'Strict signature missing header that must be signed')
  // The signature's own parameters cannot be signed, and the token need not be (product/436/7778).
  const free = [...byEncodedName(query).keys()].filter(
    (name) => !signed.params.includes(name) && !/^(?:q-.*|sign|x-cos-security-token)$/.test(name),
  )
  if (rules.some((rule) => rule.params.some((param) => fits(param === 'all' ? '*' : param, free))))
    throw new Refusal('AccessDenied', 'Strict signature missing param that must be signed')
}

const parser = new XMLParser({
  parseTagValue: false,
  processEntities: false,
  isArray: (name) => ['Rule', 'action', 'header', 'param'].includes(name),
})

function readRules(text: string): StrictRule[] {
  if (XMLValidator.validate(text) !== true) throw new Refusal('MalformedXML')
  const tree: unknown = parser.parse(text)
  const rules: unknown = Object(Object(tree).StrictSignatureConfiguration).Rule
  if (!Array.isArray(rules) || rules.length > MAX_RULES) throw new Refusal('MalformedXML')
  const read = rules.map((rule: unknown): StrictRule => {
    const { ID: id, actionlist, headerlist, paramlist, ...others } = Object(rule) as Record<string, unknown>
    if (typeof id !== 'string' || !/^[\w.-]{1,255}$/.test(id) || Object.keys(others).length > 0)
      throw new Refusal('MalformedXML')
    const actions = readList(actionlist, 'action', /^(?!(?:PostObject|GetService)$)[a-z*]+$/i, 200)
    // The page calls the list optional, but does not say whether a rule without it is for all requests or for none.
    if (actions.length === 0) throw notImplemented('a strict signature rule without actions')
    const headers = readList(headerlist, 'header', HEADER, 20)
    return { id, actions, headers, params: readList(paramlist, 'param', /^[\w.-]{1,255}$/, 20) }
  })
  if (new Set(read.map(({ id }) => id)).size < read.length) throw new Refusal('InvalidArgument', 'An ID is repeated.')
  return read
}

/** Reads the entries of `<…list>`, which may be empty or missing. */
function readList(list: unknown, name: string, form: RegExp, most: number): string[] {
  const { [name]: entries = [], ...others } = Object(list || {}) as Record<string, unknown>
  if (!Array.isArray(entries) || Object.keys(others).length > 0) throw new Refusal('MalformedXML')
  if (entries.length > most) throw new Refusal('InvalidArgument', `More than ${most} of ${name}.`)
  return entries.map((entry: unknown) => {
    if (typeof entry === 'string' && form.test(entry)) return entry
    throw new Refusal('InvalidArgument', `The strict signature mode has no ${name} of this name.`)
  })
}
