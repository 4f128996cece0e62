import { LAYOUT_PARAMETERS, type Layout } from '../layout.ts'
import { notImplemented, Refusal } from './answer.ts'
import { appid } from './buckets.ts'
import { type Processing, readProcessing } from './mogr2.ts'
import { type CosRequest, keyOf, MAX_KEY_BYTES } from './request.ts'
import type { State } from './state.ts'

export interface Rule {
  /** A matting, which is paid for, or basic image processing. */
  work: Layout | Processing
  bucket: string
  key: string
}

export interface PicOperations {
  isPicInfo: boolean
  rules: Rule[]
}

const MAX_RULES = 5
const MAX_PADDING = 1000

/**
 * Reads the Pic-Operations header (product/436/74972), all of it before anything is stored, cut or paid for.
 * @returns undefined without the header
 */
export function readPicOperations(
  state: State,
  { headers, bucket, region, key }: CosRequest,
): PicOperations | undefined {
  const header = headers.get('pic-operations')
  if (header === undefined || header === '') return undefined
  const { is_pic_info: isPicInfo = 0, rules, ...others } = asObject(parseJson(header), 'Pic-Operations')
  refuseOthers(others)
  checkFlag(isPicInfo, 'is_pic_info')
  // "If left blank, no image processing will be performed."
  const list: unknown = rules ?? []
  if (!Array.isArray(list)) throw new Refusal('InvalidPicOperations', 'rules is not an array.')
  if (list.length > MAX_RULES) throw new Refusal('InvalidPicOperations', `More than ${MAX_RULES} rules.`)
  return {
    isPicInfo: Number(isPicInfo) === 1,
    rules: list.map((entry: unknown) => {
      const { bucket: target = bucket, fileid, rule, 'ignore-error': ignore = 0, ...rest } = asObject(entry, 'A rule')
      refuseOthers(rest)
      // An example in product/436/79733 has it without saying what it does. Here it does nothing.
      checkFlag(ignore, 'ignore-error')
      if (typeof rule !== 'string') throw new Refusal('InvalidPicOperations', 'A rule has no rule text.')
      return { work: readWork(rule), bucket: readTarget(state, target, region), key: readFileId(fileid, key) }
    }),
  }
}

/** Checks a value that is 0 or 1. Some SDKs send it as text. */
function checkFlag(value: unknown, name: string): void {
  if (![0, 1, '0', '1'].some((flag) => flag === value))
    throw new Refusal('InvalidPicOperations', `${name} is neither 0 nor 1.`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal('InvalidPicOperations', 'Pic-Operations is not JSON.')
  }
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Refusal('InvalidPicOperations', `${what} is not a JSON object.`)
}

function refuseOthers(others: object): void {
  const [name] = Object.keys(others)
  if (name !== undefined) throw notImplemented(`${JSON.stringify(name)} in Pic-Operations`)
}

export function isProcessing(work: Layout | Processing): work is Processing {
  return 'pipes' in work
}

/** Whether no rule of a Pic-Operations header is a matting, which would be paid for; known before it is checked. */
export function isUnpaid(header: string): boolean {
  try {
    const { rules = [] } = Object(JSON.parse(header))
    return Array.isArray(rules) && rules.every((rule) => /^imageMogr2\//.test(Object(rule).rule))
  } catch {
    return false
  }
}

function readWork(text: string): Layout | Processing {
  return text.startsWith('imageMogr2/') ? readProcessing(text) : readRuleText(text)
}

/** Reads a rule such as `ci-process=GoodsMatting&center-layout=1&padding-layout=20x10`. */
function readRuleText(text: string): Layout {
  const params = new Map<string, string>()
  for (const part of text.split('&')) {
    const at = part.indexOf('=')
    const name = at < 0 ? part : part.slice(0, at)
    if (params.has(name)) throw new Refusal('InvalidPicOperations', `The rule repeats ${name}.`)
    params.set(name, at < 0 ? '' : part.slice(at + 1))
  }
  if (params.get('ci-process') !== 'GoodsMatting') throw notImplemented(`the rule ${JSON.stringify(text)}`)
  for (const name of params.keys()) {
    if (name !== 'ci-process' && !LAYOUT_PARAMETERS.includes(name))
      throw notImplemented(`the parameter ${JSON.stringify(name)} of GoodsMatting`)
  }
  return readLayout(params)
}

/** Reads the two parameters of GoodsMatting, from a rule or from a URL. */
export function readLayout(params: ReadonlyMap<string, string>): Layout {
  const center = params.get('center-layout') ?? '0'
  if (center !== '0' && center !== '1') throw new Refusal('InvalidArgument', 'center-layout is neither 0 nor 1.')
  const padding = /^(\d{1,4})x(\d{1,4})$/.exec(params.get('padding-layout') ?? '0x0')
  const [dx, dy] = [Number(padding?.[1]), Number(padding?.[2])]
  if (!(dx <= MAX_PADDING && dy <= MAX_PADDING))
    throw new Refusal('InvalidArgument', `padding-layout is not <dx>x<dy>, each of 0 to ${MAX_PADDING}.`)
  return { center: center === '1', dx, dy }
}

/** The rule's text for the bill; equal layouts have the same text. */
export function ruleText({ center, dx, dy }: Layout): string {
  return `ci-process=GoodsMatting${center ? '&center-layout=1' : ''}${dx || dy ? `&padding-layout=${dx}x${dy}` : ''}`
}

function readTarget(state: State, bucket: unknown, region: string): string {
  if (typeof bucket !== 'string') throw new Refusal('InvalidPicOperations', 'A bucket is not a string.')
  if (appid(bucket) !== appid(state.bucket)) throw new Refusal('AccessDenied')
  if (state.buckets.get(bucket)?.region !== region) throw new Refusal('NoSuchBucket')
  return bucket
}

/**
 * A fileid is absolute if it has a leading slash, or is the source's own key. Otherwise it is relative to the source's
 * folder.
 */
function readFileId(fileid: unknown, source: string): string {
  if (typeof fileid !== 'string' || fileid === '') throw new Refusal('InvalidPicOperations', 'A rule has no fileid.')
  // JSON can hold half a surrogate pair, which no key and no URL can hold.
  if (Buffer.from(fileid).toString() !== fileid) throw new Refusal('InvalidPicOperations', 'A fileid is not Unicode.')
  if (fileid.endsWith('/')) throw new Refusal('InvalidPicOperations', 'A fileid ends in a slash.')
  const folder = source.slice(0, source.lastIndexOf('/') + 1)
  const key = fileid.startsWith('/') ? fileid.slice(1) : fileid === source ? source : folder + fileid
  if (keyOf(`/${key}`) === '') throw new Refusal('InvalidPicOperations', 'A fileid names no object.')
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new Refusal('KeyTooLong')
  return key
}
