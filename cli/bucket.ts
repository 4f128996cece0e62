import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { XMLParser } from 'fast-xml-parser'
import { vendorCode } from '../lib/answer.ts'
import { RECORDS } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import { type Account, ask, type BucketCall } from './api.ts'
import type { Stage } from './stage.ts'
import type { Step } from './step.ts'

const xml = new XMLParser({ processEntities: false, parseTagValue: false })

/** Pages that draw cutouts on a canvas. Without `Vary` a browser takes the answer to an `<img>` for the canvas, and refuses it. */
const CORS = rule('CORSRule', 'cos-goods-matting', [
  '<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod>',
  '<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds>',
])
/** A claim is of no use after its time, which is less than half an hour. */
const CLAIMS = rule('Rule', 'cos-goods-matting-claims', [
  `<Filter><Prefix>${RECORDS}claims/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>`,
])
const STRICT = [
  rule('Rule', '1', ['<actionlist><action>*</action></actionlist><paramlist><param>all</param></paramlist>']),
  rule('Rule', '2', [
    '<actionlist><action>PutObject</action></actionlist><headerlist><header>x-cos-*</header></headerlist>',
  ]),
]

/** Refuses a bucket of claims that keeps versions: there a PUT that forbids to overwrite overwrites, and a cutout is paid for twice. */
export async function checkVersioning(account: Account, bucket: string): Promise<void> {
  const answer = await ask(account, { ...at(bucket), query: { versioning: '' } })
  if (/<Status>(?:Enabled|Suspended)<\/Status>/.test(answer.body.toString()))
    throw new MattingError(
      'misconfigured',
      `${bucket} has versioning, or had it: there COS overwrites what it is told not to, so a cutout could be paid for twice. It cannot be undone; choose another CUTOUT_BUCKET.`,
    )
}

/** The bucket of the photos can have them cut out, that of the cutouts shows them and forgets old claims. */
export async function* bucket(account: Account, { config }: Stage, strict: boolean): Step {
  const { bucket: photos, cutoutBucket: cutouts } = config
  if (!(await isBound(account, photos)))
    yield { say: 'bind it to Cloud Infinite', call: { ...at(photos), door: 'pic', method: 'PUT' } }
  if (!(await isOpen(account, photos))) {
    const open: BucketCall = { ...at(photos), door: 'ci', method: 'POST', key: 'ai_bucket', type: 'application/xml' }
    yield { say: 'open AI recognition', call: open }
  }
  const cors = await merged(account, cutouts, 'cors', 'CORSConfiguration', 'CORSRule', [CORS])
  if (cors) yield { say: 'let pages draw its pictures', call: cors }
  const lifecycle = await merged(account, cutouts, 'lifecycle', 'LifecycleConfiguration', 'Rule', [CLAIMS])
  if (lifecycle) yield { say: 'let old claims expire', call: lifecycle }
  if (!strict) return
  const rules = await merged(account, photos, 'strict-signature', 'StrictSignatureConfiguration', 'Rule', STRICT)
  if (rules) yield { say: 'switch strict signatures on', call: rules }
}

export async function isBound(account: Account, name: string): Promise<boolean> {
  const answer = await ask(account, { ...at(name), door: 'pic' }, [200, 404])
  return /<CIStatus>on<\/CIStatus>/.test(answer.body.toString())
}

export async function isOpen(account: Account, name: string): Promise<boolean> {
  const query = { bucketNames: name, regions: account.region, pageNumber: '1', pageSize: '100' }
  const answer = await ask(account, { ...at(name), door: 'ci', key: 'ai_bucket', query }, [200, 404])
  return answer.body.includes(`<BucketId>${name}</BucketId>`)
}

/** Whether the rules of pages and claims are there. */
export async function hasRules(account: Account, name: string): Promise<{ cors: boolean; lifecycle: boolean }> {
  return {
    cors: !(await merged(account, name, 'cors', 'CORSConfiguration', 'CORSRule', [CORS])),
    lifecycle: !(await merged(account, name, 'lifecycle', 'LifecycleConfiguration', 'Rule', [CLAIMS])),
  }
}

/**
 * The PUT that adds rules to a set, which it replaces as a whole: what others have set is sent again as it came. Undefined if
 * they are all there.
 */
async function merged(
  account: Account,
  name: string,
  what: string,
  root: string,
  tag: string,
  rules: readonly string[],
): Promise<BucketCall | undefined> {
  const answer = await ask(account, { ...at(name), query: { [what]: '' } }, [200, 404])
  if (answer.status === 404 && vendorCode(answer) === 'NoSuchBucket')
    throw new MattingError('misconfigured', `There is no bucket ${name}.`)
  const document = answer.status === 200 ? answer.body.toString() : ''
  const there = document.match(new RegExp(`<${tag}>.*?</${tag}>`, 'gs')) ?? []
  const vary = what === 'cors'
  const isThere = (one: string) => there.some((other) => isDeepStrictEqual(xml.parse(one), xml.parse(other)))
  if (rules.every(isThere) && (!vary || /<ResponseVary>true<\/ResponseVary>/.test(document))) return undefined
  const ids = rules.map(idOf)
  const others = there.filter((one) => !ids.includes(idOf(one)))
  const body = `<${root}>${[...others, ...rules].join('')}${vary ? '<ResponseVary>true</ResponseVary>' : ''}</${root}>`
  const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
  return { ...at(name), method: 'PUT', query: { [what]: '' }, headers, type: 'application/xml', body }
}

function rule(tag: string, id: string, parts: readonly string[]): string {
  return `<${tag}><ID>${id}</ID>${parts.join('')}</${tag}>`
}

function idOf(one: string): string {
  return /<ID>(.*?)<\/ID>/s.exec(one)?.[1] ?? ''
}

function at(name: string): BucketCall {
  return { bucket: name, door: 'cos', method: 'GET', key: '' }
}
