import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { countPaid, type Receipt, readReceipts, writeGrant, writeReceipt } from '../lib/pay/receipt.ts'
import { type LabOptions, photo } from './helpers/cos.ts'
import { createSeed } from './helpers/seed.ts'
import { JSON_TYPE, KEY, MINUTE, RECEIPTS, type Still, startStill } from './helpers/still.ts'

const DAY = '2026-01-10'
const TALLY = `.matting/tally/${DAY}.json`
let body: Buffer
beforeAll(async () => {
  body = await photo()
})

/** At a time of that day, of which it is midnight else. */
async function startAt(hours = 0, minutes = 0, options: LabOptions = {}): Promise<Still> {
  const cos = await startStill(options)
  cos.advance((12 * 60 + hours * 60 + minutes) * MINUTE)
  return cos
}

const count = ({ bucket }: Still, enough?: number) => countPaid({ cos: bucket, store: bucket }, DAY, enough)

/** What was paid for at a time, nine digits. */
async function paidAt({ bucket }: Still, ...times: string[]): Promise<void> {
  const keys = times.map((time, i) => `${RECEIPTS}${DAY}/${time}-a${i}-1.json`)
  await Promise.all(keys.map((key) => bucket.put(key, '{}', JSON_TYPE)))
}

/** Leave that was given at nine o'clock to pay for two cutouts, and that lapses at `lapses`. */
function grant({ bucket }: Still, id: string, lapses: string, more: Partial<Receipt> = {}): Promise<string> {
  const receipt: Receipt = {
    ...{ id, at: `${DAY}T09:00:00.000Z`, asker: 'presigned', source: KEY, etag: 'nobody’s', outcome: 'sent', ms: 0 },
    ...{ cutouts: [`cutouts/${id}-1.png`, `cutouts/${id}-2.png`], ...more },
  }
  return writeGrant(bucket, receipt, Date.parse(`${DAY}T${lapses}Z`))
}

async function lie({ bucket }: Still, key: string) {
  await bucket.put(key, 'a cutout', { type: 'image/png' })
  return {}
}

describe('leave to pay that was handed out counts', () => {
  it('until it has lapsed unused, and then leaves a receipt of nothing', async () => {
    const cos = await startAt(12)
    await grant(cos, 'one', '12:00:00.000')
    expect(await count(cos)).toBe(2)
    cos.advance(1)
    expect(await count(cos)).toBe(0)
    expect(await cos.under(RECEIPTS)).toEqual([`${RECEIPTS}${DAY}/120000000-one-0.json`])
    expect(await cos.json(`${RECEIPTS}${DAY}/120000000-one-0.json`)).toMatchObject({ asker: 'presigned' })
  })

  it.each<[string, (cos: Still) => Promise<Partial<Receipt>>, number]>([
    ['its photo lies there', async (cos) => ({ etag: (await cos.source(body)).etag }), 2],
    ['another photo lies there', async (cos) => ({ etag: (await cos.source(body)).etag.replace(/./, 'x') }), 0],
    ['its first cutout lies there', async (cos) => lie(cos, 'cutouts/one-1.png'), 2],
    ['its last cutout lies there', async (cos) => lie(cos, 'cutouts/one-2.png'), 2],
    ['another cutout lies there', async (cos) => lie(cos, 'cutouts/one-3.png'), 0],
  ])('for good where it was used: %s', async (_, use, expected) => {
    const cos = await startAt(12)
    await grant(cos, 'one', '10:00:00.000', await use(cos))
    for (let i = 0; i < 2; i++) expect(await count(cos)).toBe(expected)
    expect(await cos.under(RECEIPTS)).toEqual([`${RECEIPTS}${DAY}/100000000-one-${expected}.json`])
  })

  it('where nobody can read what it was for', async () => {
    const cos = await startAt(12)
    const key = await grant(cos, 'one', '10:00:00.000')
    await cos.bucket.put(key, 'scribbled on', JSON_TYPE)
    for (let i = 0; i < 2; i++) expect(await count(cos, 0)).toBe(2)
  })

  it('no longer than need be: where the limit is near, more of it is settled than usual', async () => {
    const cos = await startAt(12)
    for (let i = 0; i < 20; i++) await grant(cos, `no${i}`, `10:00:${String(i).padStart(2, '0')}.000`)
    expect(await count(cos, 24)).toBe(24)
    expect(await cos.under(`${RECEIPTS}${DAY}/grants/`)).toHaveLength(12)
    expect(await count(cos, 0)).toBe(0)
  })
})

describe('a tally', () => {
  it('of the older receipts counts each of them once, also what is written late or settled late', async () => {
    const data = await mkdtemp(join(tmpdir(), 'tally-'))
    const seed = createSeed(data)
    for (let i = 0; i < 1_001; i++)
      seed.put(`${RECEIPTS}${DAY}/000500000-a${i}-1.json`, Buffer.from('{}'), 'application/json')
    const cos = await startAt(0, 10, { dir: join(data, 'cos') })
    // Nothing is so old yet.
    expect(await count(cos)).toBe(1_001)
    expect(await cos.under(TALLY)).toEqual([])
    cos.advance((11 * 60 + 50) * MINUTE)
    await cos.bucket.put(TALLY, '{"before":"000000001","count":500}', JSON_TYPE)
    // Receipts are written up to 1,000 seconds after their time: the last one may have others before it yet.
    await paidAt(cos, '114319999', '114320000', '115500000')
    const all = 500 + 1_004
    const denied = { on: 'PutObject', prefix: '.matting/tally/', kind: 'error', code: 'AccessDenied' } as const
    cos.faults.set([denied])
    expect(await count(cos)).toBe(all)
    cos.faults.set([])
    expect(await count(cos)).toBe(all)
    expect(await cos.json(TALLY)).toEqual({ before: '114320000', count: 500 + 1_002 })
    await cos.bucket.put(`${RECEIPTS}${DAY}/114320000-late-1.json`, '{}', JSON_TYPE)
    expect(await count(cos)).toBe(all + 1)

    // Ten that were used and have lapsed, of which eight are settled at a time.
    await cos.bucket.put(TALLY, '{"before":"000000001","count":500}', JSON_TYPE)
    await cos.source(body)
    const { etag = '' } = (await cos.bucket.head(KEY)) ?? {}
    for (let i = 0; i < 10; i++) await grant(cos, `no${i}`, `05:00:00.00${i}`, { etag })
    for (let i = 0; i < 3; i++) expect(await count(cos)).toBe(all + 1 + 20)
    expect(await cos.under(`${RECEIPTS}${DAY}/grants/`)).toEqual([])
    cos.advance(MINUTE)
    expect(await count(cos)).toBe(all + 1 + 20)
  })

  it.each([
    '',
    'null',
    '{"before":"","count":9}',
    '{"before":"235959999"}',
    '{"before":"235959999","count":-1}',
    '{"before":"235959999","count":0.5}',
    '{"before":"235959999","count":"0"}',
    '{"before":"23:59:59","count":0}',
    '{"before":235959999,"count":0}',
  ])('that somebody scribbled on (%j) is none', async (text) => {
    const cos = await startAt(12)
    await paidAt(cos, '030000000', '040000000')
    await cos.bucket.put(TALLY, text, JSON_TYPE)
    expect(await count(cos)).toBe(2)
  })
})

describe('receipts of a day', () => {
  it('were billed for what they bought, or, without an answer, for what lies there and nobody else accounts for', async () => {
    const cos = await startAt(12)
    const written: [id: string, outcome: Receipt['outcome'], cutouts: string[], billed: number][] = [
      ['a', 'bought', ['cutouts/1.png', 'cutouts/2.png'], 2],
      ['b', 'sent', ['cutouts/2.png', 'cutouts/3.png', 'cutouts/4.png'], 1],
      ['c', 'sent', ['cutouts/3.png'], 0],
      ['d', 'sent', ['cutouts/4.png'], 0],
    ]
    for (const i of [1, 2, 3]) await lie(cos, `cutouts/${i}.png`)
    for (const [id, outcome, cutouts] of written) {
      const at = `${DAY}T10:00:00.000Z`
      await writeReceipt(cos.bucket, { id, at, asker: 'url', source: KEY, etag: 'an ETag', cutouts, outcome, ms: 0 })
    }
    for (const text of ['', '{}', '{"cutouts":["cutouts/3.png"]}']) {
      await cos.bucket.put(`${RECEIPTS}${DAY}/100000000-e${text.length}-1.json`, text, JSON_TYPE)
    }
    const told = (await readReceipts(cos.bucket, DAY)).map(({ receipt, billed }) => [receipt.id, billed.length])
    expect(told).toEqual(written.map(([id, , , billed]) => [id, billed]))
  })
})
