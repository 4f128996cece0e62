import { describe, expect, it } from 'vitest'
import { createDayCount, type DayCount } from '../lib/invocation.ts'
import { plain } from '../lib/layout.ts'
import { take } from '../lib/pay/limit.ts'
import { ensure } from '../lib/pay/pay.ts'
import { writeReceipt } from '../lib/pay/receipt.ts'
import { photo } from './helpers/cos.ts'
import { KEY, MINUTE, SECOND, type Still, startStill } from './helpers/still.ts'

const body = await photo()

/** One process that wants the cutouts of so many photos, all at once; returns how many got theirs, and what the others were told. */
async function want(cos: Still, dayCount: DayCount, limit: number, from: number, to: number) {
  const keys = Array.from({ length: to - from }, (_, i) => `uploads/${from + i}.jpg`)
  const sources = await Promise.all(keys.map((key) => cos.source(body, key)))
  // Long enough for the slowest machine: a call that is cut off would be waited for until its claim lapses, and this clock stands still.
  const settings = { DAILY_LIMIT: String(limit), CLAIM_TIME: '600' }
  const deadline = cos.now() + 10 * MINUTE
  const all = await Promise.allSettled(
    sources.map((source) => ensure(cos.parts(settings, { dayCount, deadline }), 'backfill', source, [plain])),
  )
  const told = all.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
  return { made: all.length - told.length, told: [...new Set(told)] }
}

/** How often the receipts were listed: for each photo there are two other lists, of its marks and of its claims. */
const lists = (cos: Still, photos: number) => cos.asked('GetBucket') - 2 * photos

describe('whoever counts the day’s paid calls once for many', () => {
  it('lists the receipts a few times for 30 calls, not for each', async () => {
    const cos = await startStill()
    const dayCount = createDayCount()
    for (let i = 0; i < 30; i += 15) expect(await want(cos, dayCount, 1_000, i, i + 15)).toEqual({ made: 15, told: [] })
    // Each count lists the grants, and then the receipts.
    expect(lists(cos, 30)).toBe(2)
    cos.advance(5 * SECOND)
    expect(await want(cos, dayCount, 1_000, 30, 31)).toEqual({ made: 1, told: [] })
    expect(lists(cos, 31)).toBe(4)
  })

  it('pays for as many as are left, and never for one more, with 50 at once', async () => {
    const cos = await startStill()
    expect(await want(cos, createDayCount(), 30, 0, 50)).toEqual({ made: 30, told: ['limit-reached'] })
    expect(cos.bill()).toHaveLength(30)
  })

  it('sees what others have paid when half of what was left is taken', async () => {
    const cos = await startStill()
    const dayCount = createDayCount()
    await want(cos, dayCount, 10, 0, 4)
    const at = new Date(cos.now()).toISOString()
    const cutouts = ['cutouts/a', 'cutouts/b', 'cutouts/c', 'cutouts/d', 'cutouts/e']
    await writeReceipt(cos.bucket, {
      id: 'other',
      at,
      asker: 'url',
      source: KEY,
      etag: 'e',
      cutouts,
      outcome: 'sent',
      ms: 0,
    })
    expect(await want(cos, dayCount, 10, 4, 8)).toEqual({ made: 1, told: ['limit-reached'] })
  })

  it('sees what others have paid, also when the clock of the machine is set back meanwhile', async () => {
    const cos = await startStill()
    const dayCount = createDayCount()
    await want(cos, dayCount, 1_000, 0, 1)
    const before = lists(cos, 1)
    cos.advance(-60 * MINUTE)
    await want(cos, dayCount, 1_000, 1, 2)
    expect(lists(cos, 2)).toBe(before + 2)
  })

  it('pays no more than half of what was left beyond the limit, if others take all of it in the same seconds', async () => {
    const cos = await startStill()
    const dayCount = createDayCount()
    await want(cos, dayCount, 13, 0, 1)
    const others = Array.from({ length: 12 }, (_, i) => want(cos, createDayCount(), 13, 100 + i, 101 + i))
    await Promise.all(others)
    // Thirteen were left when it counted.
    expect((await want(cos, dayCount, 13, 1, 13)).made).toBe(5)
    cos.advance(6 * SECOND)
    expect(await want(cos, dayCount, 13, 13, 14)).toEqual({ made: 0, told: ['limit-reached'] })
  })

  it('takes nothing while the receipts are listed, for that list would forget it', async () => {
    const cos = await startStill()
    const dayCount = createDayCount()
    await want(cos, dayCount, 13, 0, 1)
    const invocation = cos.parts({ DAILY_LIMIT: '13' }, { dayCount })
    const taken = dayCount.taken
    // More than half of what was left, so it is listed anew; and one that by itself would need no list.
    const both = [take(invocation, 7), take(invocation, 1)]
    expect(dayCount.taken).toBe(taken)
    await Promise.all(both)
    // One was paid before, and is in the list.
    expect(dayCount.left - dayCount.taken).toBe(13 - 1 - 8)
  })

  it('gives back what was taken and not paid', async () => {
    const cos = await startStill()
    const dayCount = createDayCount()
    cos.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied', times: 2 }])
    expect(await want(cos, dayCount, 3, 0, 2)).toEqual({ made: 0, told: ['denied'] })
    expect(await want(cos, dayCount, 3, 2, 6)).toEqual({ made: 3, told: ['limit-reached'] })
    expect(dayCount.unlisted).toBe(0)
  })

  it('begins anew after midnight, UTC', async () => {
    const cos = await startStill()
    const dayCount = createDayCount()
    cos.advance(12 * 60 * MINUTE - SECOND)
    expect(await want(cos, dayCount, 2, 0, 3)).toEqual({ made: 2, told: ['limit-reached'] })
    cos.advance(SECOND)
    expect(await want(cos, dayCount, 2, 3, 6)).toEqual({ made: 2, told: ['limit-reached'] })
  })
})
