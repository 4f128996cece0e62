import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { photo } from './helpers/cloud.ts'
import { type Commanded, startCommanded } from './helpers/command.ts'

const SECRET = '0123456789abcdef'
const MUG = 'uploads/mug.jpg'
const DAY = 86_400_000

let made: Commanded
let day: string
beforeAll(async () => {
  made = await startCommanded({
    ACCESS: 'signed',
    URL_KEYS: `shop:${SECRET}`,
    PRESETS: 'card: center-layout 1, padding-layout 20x10, width 320|640',
    ON_UPLOAD: 'uploads/: plain, uploads/+shoes/: plain, card',
  })
  const { cloud } = made
  day = new Date(cloud.clock.now()).toISOString().slice(0, 10)
  await cloud.upload(MUG, await photo())
  await cloud.upload('uploads/+shoes/a.jpg', await photo('#2040b0'))
})
afterAll(() => made.cloud.close())

const run = async (...words: string[]) => {
  const before = made.cloud.cos.bill().length
  const answer = await made.command(...words)
  expect(made.cloud.cos.bill().length).toBe(before)
  // A secret never, and a signature only where a URL was asked for.
  expect(answer.printed.join('\n')).not.toContain(SECRET)
  return answer
}
const lines = async (...words: string[]) => (await run(...words)).printed

describe('bill', () => {
  it('adds up the receipts by day, layout, asker or folder, and compares with the local cloud’s own', async () => {
    expect((await lines('bill', '--price', '0.01 CNY')).slice(1)).toEqual([
      `${day}          3  0.03 CNY`,
      'sum                 3  0.03 CNY',
      "The vendor's bill for GoodsMatting should say 3 calls.",
      'The local cloud billed as many.',
    ])
    const names = async (by: string) =>
      (await lines('bill', '--by', by)).slice(1, -2).map((line) => line.split(/ {2,}/))
    expect(await names('layout')).toEqual([
      ['plain', '2'],
      ['c1-p20x10', '1'],
      ['sum', '3'],
    ])
    expect(await names('asker')).toEqual([
      ['trigger', '3'],
      ['sum', '3'],
    ])
    expect(await names('folder')).toEqual([
      ['uploads/+shoes/', '2'],
      ['uploads/', '1'],
      ['sum', '3'],
    ])
  })

  it('writes CSV in which no folder is a formula or breaks its line', async () => {
    expect(await lines('bill', '--by', 'folder', '--csv')).toEqual([
      'folder,paid,open',
      'uploads/+shoes/,2,0',
      'uploads/,1,0',
    ])
    const { csv } = await import('../cli/bill.ts')
    const bill = { from: day, to: day, lines: [{ name: '=1+"2"', paid: 1, open: 0 }], paid: 1, open: 0 }
    expect([...csv(bill, 'folder')]).toEqual(['folder,paid,open', `"'=1+""2""",1,0`])
    for (const name of ['+1', '-1', '@A1', '\t=1']) {
      const [, line] = csv({ ...bill, lines: [{ name, paid: 1, open: 0 }] }, 'folder')
      expect(line).toBe(`'${name},1,0`)
    }
  })

  it('knows the days, and refuses what is none', async () => {
    const before = new Date(made.cloud.clock.now() - DAY).toISOString().slice(0, 10)
    const { printed } = await run('bill', '--from', before, '--to', before, '--json')
    expect(JSON.parse(printed.join(''))).toEqual({ from: before, to: before, lines: [], paid: 0, open: 0, local: 0 })
    for (const wrong of [
      ['--from', '2026-02-30'],
      ['--to', 'today'],
      ['--from', '2026-02-03', '--to', '2026-02-01'],
      ['--from', '2020-01-01'],
      ['--price', 'much'],
      ['--by', 'month'],
    ])
      expect((await run('bill', ...wrong)).code, wrong.join(' ')).toBe(2)
  })

  it('counts a call without an answer if its cutout is there, and else says that it is open', async () => {
    const { cloud } = made
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'lose-answer', times: 1 }])
    await cloud.upload('uploads/lost.jpg', await photo('#208040'))
    cloud.faults.set([])
    expect((await lines('bill')).slice(-2)).toEqual([
      "The vendor's bill for GoodsMatting should say 4 calls.",
      'The local cloud billed as many.',
    ])
    const [receipt = ''] = await cloud.keys(`.matting/receipts/${day}/`)
    const text = (await cloud.bytes(receipt)).toString()
    const open = { ...JSON.parse(text), id: 'open', outcome: 'sent', cutouts: ['cutouts/none.png'] }
    await cloud.bucket.put(receipt.replace(/-[^/]*$/, '-open-1.json'), JSON.stringify(open), {
      type: 'application/json',
    })
    expect((await lines('bill')).at(-2)).toBe("The vendor's bill for GoodsMatting should say 4 to 5 calls.")
    // What is left of a grant that nobody used.
    await cloud.bucket.put(receipt.replace(/-[^/]*$/, '-unused-0.json'), JSON.stringify(open), {
      type: 'application/json',
    })
    expect((await lines('bill')).at(-2)).toBe("The vendor's bill for GoodsMatting should say 4 to 5 calls.")
  })
})

describe('url', () => {
  it('prints a URL that the image function takes, until it ends by COS’s clock', async () => {
    const [url = ''] = await lines('url', MUG, '--expires', '2m')
    const path = url.slice(made.cloud.imageUrl.length)
    const answer = await made.cloud.image(path)
    expect([answer.status, answer.headers['x-matting']]).toEqual([302, 'hit'])
    const seconds = Number(new URL(url).searchParams.get('exp')) - made.cloud.clock.now() / 1000
    expect(seconds).toBeGreaterThan(100)
    expect(seconds).toBeLessThanOrEqual(121)
  })

  it('prints an <img> with several widths, and any key', async () => {
    const key = 'uploads/å 中?#%.jpg'
    const [img = ''] = await lines('url', key, '--preset', 'card', '--widths', '640,320')
    const urls = [...img.matchAll(/(http\S+) (\d+)w/g)].map(([, url = '', width]) => [
      decodeURIComponent(new URL(url.replaceAll('&#38;', '&')).pathname),
      width,
    ])
    expect(urls).toEqual([320, 640].map((width) => [`/card,width=${width}/${key}`, String(width)]))
  })

  it('refuses what the image function would refuse', async () => {
    expect(await run('url', 'elsewhere/a.jpg')).toMatchObject({
      code: 1,
      printed: ['This address is not in a source folder.'],
    })
    expect(await run('url', MUG, '--preset', 'nope')).toMatchObject({
      code: 1,
      printed: ['No such preset; there are: plain, card.'],
    })
    expect((await run('url', MUG, '--key-id', 'other')).printed).toEqual(['URL_KEYS has no key other; it has shop.'])
    for (const wrong of [
      ['--widths', '0'],
      ['--expires', 'soon'],
    ])
      expect((await run('url', MUG, ...wrong)).code).toBe(2)
  })
})

describe('check', () => {
  const sign = (layout: string, key: string, more = 600) =>
    imageUrl(
      made.cloud.imageUrl,
      { layout, key, expires: Math.floor(made.cloud.clock.now() / 1000) + more },
      'shop',
      SECRET,
    )

  it('says of a photo what an event would cost', async () => {
    expect(await lines('check', MUG)).toEqual([
      `yes  ${MUG}: nothing to pay`,
      '     It has all that is made at upload: plain.',
    ])
    expect((await run('check', 'uploads/none.jpg')).code).toBe(1)
    made.cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    await made.cloud.upload('uploads/+shoes/b.jpg', await photo('#108070'))
    made.cloud.faults.set([])
    expect((await lines('check', 'uploads/+shoes/b.jpg'))[0]).toBe('yes  uploads/+shoes/b.jpg: 2 paid calls')
  })

  it('says of a URL whether it is taken, until when, and what it would cost', async () => {
    const told = async (url: string) =>
      (await lines('check', url))
        .map((line) => line.trim())
        .join(' ')
        .slice(url.length + 4)
    expect(await told(sign('plain', MUG))).toMatch(
      /: nothing to pay Its cutout \(plain\) is there\. Its signature ends \S+Z\.$/,
    )
    expect(await told(sign('card,width=320', MUG))).toContain('one paid call Its cutout (c1-p20x10) is made and paid')
    expect(await told(sign('plain', MUG, -60))).toContain('expired: This URL has expired.')
    expect(await told(sign('plain', 'uploads/none.jpg'))).toContain('not-found: No such photo.')
    expect(await told(`${made.cloud.imageUrl}/plain/${MUG}`)).toContain('bad-signature')
    expect(await told(sign('plain', MUG).replace('plain', 'card'))).toContain('bad-signature')
  })

  it('says the same of the events in a file, and of a file without any', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'check-'))
    const file = join(dir, 'event.json')
    const cosBucket = { name: 'photos', appid: '1250000000' }
    const record = (key: string) => ({ cos: { cosBucket, cosObject: { key: `/1250000000/photos/${key}` } } })
    await writeFile(file, JSON.stringify({ Records: [record(MUG), record('elsewhere/a.jpg')] }))
    const { code, printed } = await run('check', file)
    expect([code, printed.filter((line) => /^\w/.test(line))]).toEqual([
      1,
      [`yes  ${MUG}: nothing to pay`, 'no  elsewhere/a.jpg: nothing to pay'],
    ])
    await writeFile(file, '{}')
    expect((await run('check', file)).code).toBe(2)
    await rm(dir, { recursive: true })
  })
})

describe('replay', () => {
  it('says what it cannot read, and how to get the letters of an account', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'replay-'))
    const file = join(dir, 'letters.jsonl')
    await writeFile(file, '{"no":"letter"}\nnot JSON\n')
    expect(await run('replay', file, '--dry-run')).toEqual({
      code: 1,
      printed: ['Letters: 2, unreadable: 2. Events that would be given to the upload function again: 0.'],
    })
    expect(await run('replay', join(dir, 'none'))).toMatchObject({
      code: 2,
      printed: [expect.stringContaining('ENOENT')],
    })
    await rm(dir, { recursive: true })
  })
})
