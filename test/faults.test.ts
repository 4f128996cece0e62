import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Outcome, upload } from '../functions/upload/upload.ts'
import type { Announcement } from '../lib/announce.ts'
import { readConfig } from '../lib/config.ts'
import { createCos } from '../lib/cos.ts'
import type { Code } from '../lib/errors.ts'
import { codes } from '../lib/errors.ts'
import { BUCKET, CREDENTIALS, REGION } from '../local/cloud.ts'
import type { RefusalCode } from '../local/cos/answer.ts'
import type { Fault } from '../local/faults.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'

// What becomes of a photo, for each error code of the vendor's pages and each call on the way (DESIGN: nothing is lost).

/** The calls on the way to a cutout, by the operation and the key that it has in the local cloud. */
const STEPS = {
  'HEAD photo': (key: string) => ({ on: 'HeadObject', prefix: key }),
  'GET cutout': (key: string) => ({ on: 'GetObject', prefix: `cutouts/${key}` }),
  'PUT claim': (key: string) => ({ on: 'PutObject', prefix: `.matting/claims/cutouts/${key}` }),
  'GET claim': (key: string) => ({ on: 'GetObject', prefix: `.matting/claims/cutouts/${key}` }),
  'POST image_process': (key: string) => ({ on: 'GoodsMatting', prefix: key }),
} as const
type Step = keyof typeof STEPS

/** Photo → `code` of its failure. A free call's error concerns the bucket or the moment, never the photo. */
type Row = readonly [code: RefusalCode, free: Code, paid: Code]
const TABLE: readonly Row[] = [
  // Of the picture: for good.
  ['InvalidImageFormat', 'denied', 'not-an-image'],
  ['InvalidImageSource', 'denied', 'not-an-image'],
  ['ImageTooLarge', 'denied', 'too-large'],
  ['ImageResolutionExceed', 'denied', 'too-large'],
  ['EntityTooLarge', 'denied', 'too-large'],
  // Of this very request: for good.
  ['InvalidArgument', 'denied', 'refused'],
  ['InvalidRequest', 'denied', 'refused'],
  ['InvalidURI', 'denied', 'refused'],
  ['InvalidObjectName', 'denied', 'refused'],
  ['KeyTooLong', 'denied', 'refused'],
  ['InvalidPicOperations', 'denied', 'refused'],
  // Of the account, the bucket or its permissions: an operator mends it.
  ['PaymentRequired', 'denied', 'denied'],
  ['AccessDenied', 'denied', 'denied'],
  ['AccessForbidden', 'denied', 'denied'],
  ['InvalidAccessKeyId', 'denied', 'denied'],
  ['NoProcessAuthority', 'denied', 'denied'],
  ['SignatureDoesNotMatch', 'denied', 'denied'],
  ['InvalidObjectState', 'denied', 'denied'],
  ['MethodNotAllowed', 'denied', 'denied'],
  ['MissingContentLength', 'denied', 'denied'],
  ['PreconditionFailed', 'denied', 'denied'],
  ['UnavailableForLegalReasons', 'denied', 'denied'],
  ['NoSuchBucket', 'misconfigured', 'misconfigured'],
  // Of the moment: a retry mends it.
  ['ExpiredToken', 'denied', 'unavailable'],
  ['RequestTimeTooSkewed', 'denied', 'unavailable'],
  ['NoSuchKey', 'not-found', 'changed'],
  ['SlowDown', 'unavailable', 'busy'],
  // It may have been done all the same: found out by looking, and not paid again while the claim lasts.
  ['PathConflict', 'denied', 'pending'],
  ['InternalError', 'unavailable', 'pending'],
  ['ServiceUnavailable', 'unavailable', 'pending'],
]

/** Where a missing object is an answer like any other, or the code is HEAD's, which has no body. */
function expected(step: Step, [code, free, paid]: Row): Code | 'cut' | 'skipped' {
  if (step === 'POST image_process') return paid
  if (step === 'HEAD photo' && (code === 'NoSuchKey' || code === 'NoSuchBucket')) return 'skipped'
  if (code === 'NoSuchKey') return step === 'PUT claim' ? 'denied' : 'pending'
  // Taken for a claim of somebody else's, which does not come to light; or tried again and again.
  if (step === 'PUT claim' && (code === 'PathConflict' || free === 'unavailable')) return 'pending'
  return free
}

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud.close())

/** The clock of those who ask. It stands until it is moved, or the time that is left would depend on the machine's speed. */
let time = Date.now()
const now = () => time

/** Time passes for them and for COS alike. */
function moveTo(moment: number): void {
  cloud.clock.advance(moment - time)
  time = moment
}

async function run(key: string, deadline: number) {
  const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cloud.cosUrl, CLAIM_TIME: '900' }
  const network = { credentials: CREDENTIALS, now, random: Math.random }
  // What is free has its usual time to the end.
  const cos = createCos({ endpoint: cloud.cosUrl, deadline: Number.POSITIVE_INFINITY, ...network })
  const announced: Announcement[] = []
  const announce = async (one: Announcement) => void announced.push(one)
  const parts = {
    config: readConfig(place),
    cos,
    store: cos,
    uuid: randomUUID,
    spent: { ms: new Map(), calls: 0 },
    announce,
    warn: () => {},
    deadline,
    ...network,
  }
  const outcomes: Outcome[] = []
  for await (const one of upload([{ kind: 'created', keys: [key], bucket: BUCKET }], parts)) outcomes.push(one)
  return { outcomes, announced }
}

describe('promise 3: every error of every call ends as cutout, announced failure or dead letter', () => {
  it(`${TABLE.length} codes x ${Object.keys(STEPS).length} steps`, async () => {
    const cases = TABLE.flatMap((row) =>
      Object.entries(STEPS).map(([step, at]) => {
        const key = `uploads/${row[0]}/${step.replace(' ', '-')}.jpg`
        const fault: Fault = { ...at(key), kind: 'error', code: row[0] }
        return { row, step: step as Step, key, fault }
      }),
    )
    const body = await photo()
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    for (const { key } of cases) await cloud.bucket.put(key, body, { type: 'image/jpeg' })
    cloud.faults.set(cases.map(({ fault }) => fault))
    const deadline = now() + 400_000
    const start = async (one: (typeof cases)[number]) => ({ ...one, ...(await run(one.key, deadline)) })
    // What nobody can tell, and what may yet be mended, takes all the time there is.
    const casesOf = (...wanted: string[]) => cases.filter(({ step, row }) => wanted.includes(expected(step, row)))
    const lasting = casesOf('pending', 'busy')
    const others = cases.filter((one) => !lasting.includes(one))
    const results: Awaited<ReturnType<typeof start>>[] = []
    while (others.length > 0) results.push(...(await Promise.all(others.splice(0, 30).map(start))))
    const [busy = [], pending = []] = ['busy', 'pending'].map((code) => casesOf(code).map(start))
    await expect.poll(() => cloud.faults.list().filter(({ struck }) => struck === 0)).toEqual([])
    // Too little for another paid call, and then for another look.
    moveTo(deadline - 5_900)
    results.push(...(await Promise.all(busy)))
    moveTo(deadline - 900)
    results.push(...(await Promise.all(pending)))
    cloud.faults.set([])
    const wrong = results.flatMap(({ step, row, key, outcomes, announced }) => {
      const [outcome] = outcomes
      const got = outcome?.outcome === 'failed' ? outcome.error.code : outcome?.outcome
      const told = announced.map(({ type }) => type)
      const want = expected(step, row)
      const tell = ['not-an-image', 'too-large', 'refused', 'denied'].includes(want)
        ? ['cutout.failed']
        : want === 'cut'
          ? ['cutout.created']
          : want === 'skipped'
            ? ['source.skipped']
            : []
      // Before the ETag is known there is nothing to announce.
      const wanted = step === 'HEAD photo' && want !== 'skipped' ? [] : tell
      return got === want && String(told) === String(wanted)
        ? []
        : [`${key}: ${got}, told ${told}; expected ${want}, told ${wanted}`]
    })
    expect(wrong).toEqual([])
    // Nothing was paid but for what was made, and for the one of which COS says that it is not there.
    const made = results.filter(
      ({ key, outcomes }) => outcomes[0]?.outcome === 'cut' || key === 'uploads/NoSuchKey/GET-cutout.jpg',
    )
    expect(new Set(cloud.cos.bill().map(({ source }) => source))).toEqual(new Set(made.map(({ key }) => key)))
    expect(cloud.cos.bill()).toHaveLength(made.length)
  })

  it('what is acknowledged is final, and what is deferred is thrown', () => {
    const about = (...what: string[]) => [...codes].filter(([, one]) => what.includes(one.about)).map(([code]) => code)
    expect(about('photo', 'layout').sort()).toEqual([
      'bad-layout',
      'no-product',
      'not-an-image',
      'refused',
      'too-large',
    ])
    expect(about('order').sort()).toEqual(['changing-too-fast', 'limit-reached'])
    expect(about('account').sort()).toEqual(['denied', 'misconfigured'])
  })
})
