import { spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import dns from 'node:dns'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { LookupFunction } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import COS from 'cos-nodejs-sdk-v5'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { redirectLife } from '../cli/garbage.ts'
import { gcRun } from '../cli/gc.ts'
import { openOperator, openTerminal } from '../cli/operator.ts'
import { policy } from '../cli/policy.ts'
import { purge } from '../cli/purge.ts'
import { readConfig } from '../lib/config.ts'
import { besideCutout, cutoutFolder, cutoutKey, frameKey } from '../lib/cutout.ts'
import { plain } from '../lib/layout.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import type { Fault } from '../local/faults.ts'
import { held, photo } from './helpers/cloud.ts'
import { type Commanded, startCommanded } from './helpers/command.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const A = Buffer.from('photo a')
const B = Buffer.from('photo b')
const JSON_TYPE = { type: 'application/json' }
const md5 = (body: Buffer) => hash('md5', body)

let on: Commanded
beforeAll(async () => {
  on = await startCommanded({ ACCESS: 'open' })
})
afterAll(() => on.cloud.close())
beforeEach(async () => {
  await on.cloud.reset()
  on.cloud.faults.set(SILENT)
})

/** Nothing is cut out unless it is asked for. */
const SILENT: Fault[] = [{ on: 'Event', kind: 'drop' }]
const store = (key: string, body: Buffer | string = 'x') => on.cloud.bucket.put(key, body, { type: 'image/jpeg' })
const advance = (days: number) => on.cloud.clock.advance(days * DAY)

const cutoutOf = (key: string, etag: string, dx = 0) => cutoutKey('cutouts/', { key, etag }, { ...plain, dx })

/** All that may be stored of a version of a photo; the keys of it. */
async function make(key: string, etag: string): Promise<string[]> {
  const cutouts = [cutoutOf(key, etag), cutoutOf(key, etag, 20)]
  const [first = ''] = cutouts
  const beside = ['card-w160.webp', 'ground-ffffff.png'].map((name) => besideCutout(first, name))
  const mark = `.matting/failed/${cutoutFolder('cutouts/', key)}${etag}-c1.refused.json`
  const keys = [...cutouts, ...beside, frameKey(first), mark]
  for (const one of keys) await store(one)
  return keys
}

const run = (...words: string[]) => on.command('gc', 'run', '--yes', ...words)
const left = () => on.cloud.keys('')

describe('gc run', () => {
  const NASTY = [
    'uploads/a b+%#?&.jpg',
    'uploads/红/😀.jpg',
    'uploads//x/../y.jpg',
    'uploads/%2e%2E/_41.jpg',
    'uploads/a.jpg',
    'uploads/a.jpg/b.jpg',
    // Keys that hold, or end like, the folder of a cutout.
    `uploads/z/${md5(A)}-plain.png/x.jpg`,
    `uploads/z/${md5(A)}-plain`,
    `uploads/${'k'.repeat(700)}.jpg`,
  ]

  it.each([0, 1])(
    'takes what was made of replaced versions, and nothing of others: half %i of the keys',
    async (half) => {
      const [keep, old]: string[][] = [[...NASTY], []]
      for (const key of NASTY) await store(key, A)
      for (const key of NASTY) old?.push(...(await make(key, md5(A))))
      advance(1)
      for (const [i, key] of NASTY.entries()) {
        const version = i % 2 === half ? B : A
        await store(key, version)
        keep?.push(...(await make(key, md5(version))))
      }
      advance(31)
      expect((await run()).code).toBe(0)
      expect(await left()).toEqual([...new Set(keep)].sort())
      expect(new Set(old).size).toBe(NASTY.length * 6)
    },
  )

  it.each([0, 1])(
    'takes what was made of a photo 30 days after it was first seen to be gone, and nothing of others: half %i of the keys',
    async (half) => {
      const [keep, go]: [string[], string[]] = [['uploads/there.jpg', ...(await make('uploads/there.jpg', md5(A)))], []]
      await store('uploads/there.jpg', A)
      for (const [i, key] of NASTY.entries()) {
        if (i % 2 !== half) await store(key, A)
        if (i % 2 !== half) keep.push(key)
        const list = i % 2 === half ? go : keep
        list.push(...(await make(key, md5(A))))
      }
      // However old the cutouts are.
      advance(100)
      await run()
      advance(29)
      await run()
      expect(await left()).toEqual(expect.arrayContaining(go))
      advance(1.01)
      await run()
      // With the notes that they are gone, the next time.
      expect(await left()).toEqual([...keep, ...(await on.cloud.keys('.matting/gone/'))].sort())
      await run()
      expect(await left()).toEqual(keep.sort())
    },
  )

  it('counts from when the photo was replaced, to the day, not from when its old cutout was made', async () => {
    await store('uploads/a.jpg', A)
    const old = await make('uploads/a.jpg', md5(A))
    advance(300)
    await store('uploads/a.jpg', B)
    advance(29.99)
    await run()
    expect(await left()).toEqual(expect.arrayContaining(old))
    advance(0.02)
    await run()
    expect(await left()).toEqual(['uploads/a.jpg'])
  })

  it('keeps what was made of a version that came back (A → B → A), and of a version in any form of ETag', async () => {
    const etag = await multipart('uploads/parts.jpg')
    const keep = [...(await make('uploads/parts.jpg', etag)), 'uploads/parts.jpg']
    // As before 1.0, and a layout that no preset names.
    const older = `cutouts/uploads/back.jpg/${md5(A).slice(0, 16)}-c1-p7x7.png`
    for (const body of [A, B, A]) {
      await store('uploads/back.jpg', body)
      advance(40)
    }
    await store(older)
    keep.push(...(await make('uploads/back.jpg', md5(A))), older, 'uploads/back.jpg')
    await make('uploads/back.jpg', md5(B))
    // A view that was made a moment ago, for somebody who had seen the photo before.
    advance(29)
    const late = besideCutout(cutoutOf('uploads/back.jpg', md5(B)), 'late.webp')
    await store(late)
    advance(2)
    await run()
    expect(await left()).toEqual([...keep, late].sort())
  })

  async function multipart(Key: string): Promise<string> {
    const at = { Bucket: 'photos-1250000000', Region: 'ap-guangzhou', Key }
    const { secretId: SecretId, secretKey: SecretKey } = CREDENTIALS
    const sdk = new COS({ SecretId, SecretKey, Domain: `127.0.0.1:${on.port}`, Protocol: 'http:' })
    const { UploadId } = await sdk.multipartInit(at)
    const { ETag } = await sdk.multipartUpload({ ...at, UploadId, PartNumber: 1, Body: A })
    await sdk.multipartComplete({ ...at, UploadId, Parts: [{ PartNumber: 1, ETag }] })
    const head = await on.cloud.bucket.head(Key)
    expect(head?.etag).toMatch(/-1$/)
    return head?.etag ?? ''
  }

  it('leaves alone what was made of photos in no source folder, of pictures elsewhere, and what is no cutout', async () => {
    await store('uploads/there.jpg', A)
    const keep = ['uploads/there.jpg', `cutouts/_long/${hash('sha256', 'x')}/${md5(A)}-plain.png`]
    for (const key of ['former/a.jpg', 'upload', 'https://shop.example/a.jpg', ''])
      keep.push(...(await make(key, md5(A))))
    keep.push(
      'cutouts/uploads/there.jpg/readme.txt',
      'cutouts/uploads/%gone.jpg/x',
      'uploads2/x',
      `other/uploads/a/${md5(A)}-plain.png`,
    )
    for (const key of keep) await store(key)
    for (let i = 0; i < 2; i++) {
      advance(60)
      await run('--force')
    }
    expect(await left()).toEqual([...new Set(keep)].sort())
  })

  it('begins anew for a photo that was there again', async () => {
    await store('uploads/there.jpg', A)
    await store('uploads/a.jpg', A)
    const of = [...(await make('uploads/a.jpg', md5(A))), ...(await make('uploads/there.jpg', md5(A)))]
    await on.cloud.bucket.delete('uploads/a.jpg')
    await run()
    advance(20)
    await store('uploads/a.jpg', A)
    await run()
    advance(20)
    await on.cloud.bucket.delete('uploads/a.jpg')
    await run()
    expect(await left()).toEqual(expect.arrayContaining(of))
  })

  it.each([
    ['stored again', 'uploads/a.jpg', A, 0],
    ['stored again while the command was frozen', 'uploads/a.jpg', A, 40],
    ['put back after it was gone', 'uploads/gone.jpg', A, 0],
    ['replaced once more', 'uploads/a.jpg', Buffer.from('photo c'), 0],
  ])('keeps what was made of a photo that is %s right before the deletion', async (_, key, body, days) => {
    for (const one of ['uploads/a.jpg', 'uploads/gone.jpg', 'uploads/there.jpg']) await store(one, A)
    const of = await make(key, md5(A))
    for (const one of ['uploads/there.jpg', 'uploads/b.jpg']) await make(one, md5(A))
    await store('uploads/b.jpg', B)
    advance(1)
    await store('uploads/a.jpg', B)
    await on.cloud.bucket.delete('uploads/gone.jpg')
    await run()
    advance(31)
    on.cloud.faults.set([...SILENT, { on: 'HeadObject', kind: 'hold', prefix: key }])
    const running = run()
    await expect.poll(() => on.cloud.faults.held().length).toBeGreaterThan(3)
    await on.cloud.bucket.put(key, body, { type: 'image/jpeg' })
    advance(days)
    on.cloud.faults.set(SILENT)
    expect((await running).code).toBe(0)
    expect(await left()).toEqual(expect.arrayContaining(of.filter((one) => !one.includes('frames'))))
  })

  it('keeps what was made of a photo whose note is taken away by another run, for it had come back', async () => {
    for (const one of ['uploads/gone.jpg', 'uploads/there.jpg']) await store(one, A)
    const of = await make('uploads/gone.jpg', md5(A))
    await make('uploads/there.jpg', md5(A))
    await on.cloud.bucket.delete('uploads/gone.jpg')
    await run()
    advance(31)
    on.cloud.faults.set([...SILENT, { on: 'HeadObject', kind: 'hold', prefix: 'uploads/gone.jpg' }])
    const running = run()
    await expect.poll(() => on.cloud.faults.held().length).toBeGreaterThan(3)
    for (const note of await on.cloud.keys('.matting/gone/')) await on.cloud.bucket.delete(note)
    on.cloud.faults.set(SILENT)
    await running
    expect(await left()).toEqual(expect.arrayContaining(of))
  })

  it('never takes what a cached redirect may still lead to, whatever it is told', async () => {
    const config = { ...readConfig({ COS_BUCKET: 'a-1', COS_REGION: 'ap-guangzhou' }), redirectTtl: 100, urlWindow: 60 }
    expect(redirectLife(config)).toBe((100 + 100 + 2 * 60 + 60) * 1_000)
    for (const key of ['uploads/a.jpg', 'uploads/b.jpg', 'uploads/there.jpg']) await store(key, A)
    const of = [...(await make('uploads/a.jpg', md5(A))), ...(await make('uploads/b.jpg', md5(A)))]
    await make('uploads/there.jpg', md5(A))
    await store('uploads/a.jpg', B)
    await on.cloud.bucket.delete('uploads/b.jpg')
    await run('--cutouts', '0')
    // Two windows of 900 s.
    on.cloud.clock.advance(30 * MINUTE)
    await run('--cutouts', '0')
    expect(await left()).toEqual(expect.arrayContaining(of))
    on.cloud.clock.advance(12 * MINUTE)
    await run('--cutouts', '0')
    expect((await left()).filter((key) => /^cutouts\/uploads\/[ab]/.test(key))).toEqual([])
  })
})

describe('gc run on records', () => {
  const claim = (key: string, attempt: number, seconds = 60) =>
    on.cloud.bucket.put(`.matting/claims/${key}/${attempt}`, JSON.stringify({ id: 'a', seconds }), JSON_TYPE)

  it('takes claims of which nothing can be under way, after a day', async () => {
    for (const key of ['a', 'b', 'c', 'there']) await store(`uploads/${key}.jpg`, A)
    const [made, missing, replaced, gone] = [
      cutoutOf('uploads/a.jpg', md5(A)),
      cutoutOf('uploads/b.jpg', md5(A)),
      cutoutOf('uploads/c.jpg', md5(B)),
      cutoutOf('uploads/d.jpg', md5(B)),
    ]
    await store(made)
    await claim(made, 0)
    await claim(made, 1, DAY / 1_000)
    await claim(missing, 0)
    await claim(replaced, 0)
    await claim(gone, 0)
    const elsewhere = `cutouts/https_3A/_2Fshop.example/a.jpg/${hash('sha256', 'x')}-plain.png`
    await claim(elsewhere, 0)
    on.cloud.clock.advance(DAY - 2_000)
    await claim(replaced, 1)
    const all = await on.cloud.keys('.matting/claims/')
    await run()
    expect(await on.cloud.keys('.matting/claims/')).toEqual(all)
    on.cloud.clock.advance(4_000)
    await run()
    const rest = [`${made}/1`, `${missing}/0`, `${replaced}/1`, `${elsewhere}/0`]
    expect(await on.cloud.keys('.matting/claims/')).toEqual(rest.map((key) => `.matting/claims/${key}`).sort())
    expect((await on.command('gc', 'run', '--yes', '--claims', '0')).code).toBe(2)
  })

  it('keeps the claim of a missing cutout if the bucket of its photo goes missing', async () => {
    await store('uploads/there.jpg', A)
    await claim(cutoutOf('uploads/gone.jpg', md5(A)), 0)
    advance(2)
    const error = { kind: 'error', code: 'NoSuchBucket', prefix: 'uploads/' } as const
    on.cloud.faults.set([
      { on: 'HeadObject', ...error },
      { on: 'GetObject', ...error },
    ])
    expect((await run()).code).toBe(1)
    expect(await on.cloud.keys('.matting/claims/')).toHaveLength(1)
  })

  it('keeps a claim that is dated anew right before its deletion', async () => {
    await store('uploads/a.jpg', A)
    const cutout = cutoutOf('uploads/a.jpg', md5(A))
    await store(cutout)
    await claim(cutout, 0)
    advance(2)
    on.cloud.faults.set([...SILENT, { on: 'GetObject', kind: 'hold', prefix: '.matting/claims/' }])
    const running = run()
    await held(on.cloud)
    await claim(cutout, 0)
    on.cloud.clock.advance(10 * MINUTE)
    on.cloud.faults.set(SILENT)
    await running
    expect(await on.cloud.keys('.matting/claims/')).toHaveLength(1)
  })

  it('takes receipts and tallies after 400 days, and frames whose cutouts are gone', async () => {
    await store('uploads/a.jpg', A)
    const cutout = cutoutOf('uploads/a.jpg', md5(A))
    const lone = frameKey(cutoutOf('uploads/a.jpg', md5(A), 9))
    const day = (ms: number) => new Date(on.cloud.clock.now() + ms).toISOString().slice(0, 10)
    const records = (day: string) => [
      `.matting/receipts/${day}/120000000-id-1.json`,
      `.matting/receipts/${day}/grants/1790000000000-id-1.json`,
      `.matting/tally/${day}.json`,
    ]
    const [old, next] = [records(day(0)), records(day(DAY))]
    const odd = ['.matting/receipts/readme', '.matting/elsewhere/x.json', '.matting/deploy/x']
    for (const key of [cutout, frameKey(cutout), lone, ...old, ...next, ...odd]) await store(key)
    await run()
    expect(await on.cloud.keys('.matting/frames/')).toHaveLength(2)
    // To the last moment of the day 400 days after the first.
    on.cloud.clock.advance(Date.parse(day(0)) + 401 * DAY - 2_000 - on.cloud.clock.now())
    await run()
    expect(await on.cloud.keys('.matting/receipts/')).toHaveLength(5)
    on.cloud.clock.advance(4_000)
    await run()
    expect(await left()).toEqual([cutout, frameKey(cutout), 'uploads/a.jpg', ...next, ...odd].sort())
  })

  it('keeps a frame whose cutout is made anew right before the deletion', async () => {
    await store('uploads/a.jpg', A)
    const cutout = cutoutOf('uploads/a.jpg', md5(A))
    await store(frameKey(cutout))
    advance(2)
    on.cloud.faults.set([...SILENT, { on: 'HeadObject', kind: 'hold', prefix: 'cutouts/' }])
    const running = run()
    await held(on.cloud)
    await store(cutout)
    on.cloud.faults.set(SILENT)
    await running
    expect(await on.cloud.keys('.matting/frames/')).toHaveLength(1)
  })
})

describe('gc does nothing', () => {
  /** Of so many photos something is stored; of the others of them nothing else is. */
  async function fill(there: number, gone: number, noted = true) {
    for (let i = 0; i < there + gone; i++) {
      await store(`uploads/${i}.jpg`, A)
      await make(`uploads/${i}.jpg`, md5(A))
    }
    for (let i = there; i < there + gone; i++) await on.cloud.bucket.delete(`uploads/${i}.jpg`)
    if (noted) await run('--force')
    advance(40)
    return left()
  }

  it('if there is no photo, as in another bucket: not even by force', async () => {
    const before = await fill(0, 1, false)
    const { code, printed } = await run('--force')
    expect([code, printed[0]]).toEqual([
      1,
      expect.stringContaining('There is no photo in uploads/ of photos-1250000000.'),
    ])
    expect(await left()).toEqual(before)
  })

  it('if more photos are gone than there, unless it is forced', async () => {
    const before = await fill(1, 2)
    const { code, printed } = await run()
    expect([code, printed.at(-1)]).toEqual([1, expect.stringContaining('Of 2 photos that have cutouts none is in')])
    expect(await left()).toEqual(before)
    expect((await run('--force')).code).toBe(0)
    expect((await on.cloud.keys('cutouts/')).length).toBeLessThan(before.length)
  })

  it.each(['NoSuchBucket', 'AccessDenied', 'InternalError'])('if the photos’ LIST is answered %s', async (code) => {
    const before = await fill(2, 1)
    on.cloud.faults.set([{ on: 'GetBucket', kind: 'error', code }])
    expect((await run('--force')).code).toBe(1)
    on.cloud.faults.set(SILENT)
    expect(await left()).toEqual(before)
  })

  it('if the bucket of the photos goes missing in the middle: HEAD answers 404 then, too', async () => {
    const before = await fill(2, 1)
    const error = { kind: 'error', code: 'NoSuchBucket', prefix: 'uploads/' } as const
    on.cloud.faults.set([
      { on: 'HeadObject', ...error },
      { on: 'GetObject', ...error },
    ])
    expect((await run('--force')).code).toBe(1)
    on.cloud.faults.set(SILENT)
    expect(await left()).toEqual(before)
  })

  it('without a terminal and without --yes; and plan does nothing at all', async () => {
    const before = await fill(2, 1)
    on.cloud.faults.set(SILENT)
    const from = on.cloud.cos.requests().length
    const { code, printed } = await on.command('gc', 'run')
    expect([code, printed.at(-1)]).toEqual([2, 'Nothing was done. Without a terminal, gc run needs --yes.'])
    expect((await on.command('gc', 'plan')).code).toBe(0)
    const operations = new Set(
      on.cloud.cos
        .requests()
        .slice(from)
        .map(({ operation }) => operation),
    )
    expect([...operations].sort()).toEqual(['GetBucket', 'HeadObject'])
    expect(await left()).toEqual(before)
  })
})

it('plan says what run then deletes, in few requests; --limit, --deleted and --json', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'gc-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const file = join(dir, 'deleted')
  for (let i = 0; i < 30; i++) {
    const key = `uploads/${i % 3 ? 'hats' : 'shoes'}/${i} 红.jpg`
    await store(key, A)
    await make(key, md5(A))
    if (i < 10) await store(key, B)
  }
  advance(31)
  const from = on.cloud.cos.requests().length
  const plan = JSON.parse((await on.command('gc', 'plan', '--json')).printed.join('\n'))
  // Four LISTs of cutouts and marks, one of photos for each of them; others of records.
  expect(on.cloud.cos.requests().length - from).toBeLessThan(20)
  const time = expect.stringMatching(/^\d{4}-/)
  expect(plan).toEqual({
    kinds: {
      replaced: { objects: 40, bytes: 40, oldest: time, newest: time },
      marks: { objects: 10, bytes: 10, oldest: time, newest: time },
    },
    folders: {
      'uploads/hats/': { objects: 30, bytes: 30, oldest: time, newest: time },
      'uploads/shoes/': { objects: 20, bytes: 20, oldest: time, newest: time },
    },
    kept: { young: 0, unnoted: 0, foreign: 0 },
    photos: { there: 30, gone: 0 },
  })
  const before = await left()
  const limited = await run('--limit', '7', '--json', '--deleted', file)
  expect(JSON.parse(limited.printed.at(-1) ?? '')).toEqual({ deleted: { replaced: { objects: 7, bytes: 7 } } })
  const { printed } = await run('--deleted', file)
  expect(printed.at(-1)).toBe('Deleted 43 objects, 43 B: 33 replaced, 10 marks.')
  const after = new Set(await left())
  const gone = before.filter((key) => !after.has(key))
  const told = (await readFile(file, 'utf8')).trim().split('\n').sort()
  expect(told).toEqual(gone.filter((key) => !key.includes('/frames/')))
  expect([told.length, gone.length]).toEqual([50, 60])
  expect((await run('--deleted', join(dir, 'no', 'such'))).code).toBe(2)

  // What was deleted, and noted, is what the operator may delete and write.
  const { statement } = policy('operator', readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }))
  const may = (operation: string, path: string) =>
    statement.some(
      ({ action, resource }) =>
        action.includes(`name/cos:${operation}`) &&
        resource.some((one) =>
          `qcs::cos:ap-guangzhou:uid/1250000000:photos-1250000000${path}`.startsWith(one.replace(/\*$/, '')),
        ),
    )
  const deleted = on.cloud.cos
    .requests()
    .slice(from)
    .filter(({ operation }) => operation === 'DeleteObject')
  expect(deleted.length).toBeGreaterThan(49)
  expect(deleted.filter(({ path }) => !may('DeleteObject', path))).toEqual([])
  for (const name of ['claims', 'tally', 'receipts', 'gone', 'frames', 'failed'])
    expect(may('DeleteObject', `/.matting/${name}/x`)).toBe(true)
  expect(may('DeleteObject', '/uploads/x') || may('DeleteObject', '/.matting/elsewhere/x')).toBe(false)
})

it('with a bucket of its own for cutouts: photos are looked for in the one, and what goes, goes from the other', async () => {
  const CUTOUT_BUCKET = 'cutouts-1250000000'
  const other = await startCommanded({ CUTOUT_BUCKET })
  onTestFinished(() => other.cloud.close())
  other.cloud.faults.set(SILENT)
  // Not every machine knows that `*.localhost` is itself.
  const here: LookupFunction = (_host, _how, done) => done(null, [{ address: '127.0.0.1', family: 4 }])
  const spy = vi.spyOn(dns, 'lookup').mockImplementation(here as typeof dns.lookup)
  onTestFinished(() => spy.mockRestore())
  const place = { local: true, port: other.port, set: [`CUTOUT_BUCKET=${CUTOUT_BUCKET}`] }
  const operator = await openOperator(place, {}, { ...openTerminal({ yes: true }), print() {}, say() {} })
  const options = { cutouts: 30, claims: 1, receipts: 400, limit: 100, force: false }
  const { cos, store } = operator.open(Number.POSITIVE_INFINITY)
  const put = (bucket: typeof cos, key: string, body = A) => bucket.put(key, body, { type: 'image/jpeg' })
  for (const key of ['there', 'replaced', 'gone']) {
    await put(cos, `uploads/${key}.jpg`)
    await put(store, cutoutOf(`uploads/${key}.jpg`, md5(A)))
    await put(store, frameKey(cutoutOf(`uploads/${key}.jpg`, md5(A))))
    await put(store, `.matting/claims/${cutoutOf(`uploads/${key}.jpg`, md5(A))}/0`)
    // What lies there is none of its business.
    await put(cos, cutoutOf(`uploads/${key}.jpg`, md5(B)))
  }
  await put(cos, 'uploads/replaced.jpg', B)
  await cos.delete('uploads/gone.jpg')
  for (let i = 0; i < 3; i++) {
    expect(await gcRun(operator, options)).toBe(0)
    other.cloud.clock.advance(31 * DAY)
  }
  const keys = async (bucket: typeof cos) => {
    const found: string[] = []
    for await (const { key } of bucket.list('')) found.push(key)
    return found
  }
  const cutout = cutoutOf('uploads/there.jpg', md5(A))
  expect(await keys(store)).toEqual([frameKey(cutout), cutout])
  expect(await keys(cos)).toHaveLength(5)
  expect(await purge(operator, 'uploads/')).toBe(0)
  expect([await keys(store), (await keys(cos)).length]).toEqual([[], 5])
})

it('killed with kill -9 in the middle, it goes on when it is run again', async () => {
  await store('uploads/there.jpg', A)
  const keep = await make('uploads/there.jpg', md5(A))
  for (let i = 0; i < 8; i++) {
    await store(`uploads/${i}.jpg`, A)
    await make(`uploads/${i}.jpg`, md5(A))
    await store(`uploads/${i}.jpg`, B)
    keep.push(`uploads/${i}.jpg`)
  }
  advance(31)
  on.cloud.faults.set([...SILENT, { on: 'DeleteObject', kind: 'hold', prefix: 'cutouts/uploads/5' }])
  const cli = fileURLToPath(new URL('../cli/cos-goods-matting.mjs', import.meta.url))
  const child = spawn(process.execPath, [cli, 'gc', 'run', '--yes', '--local', '--port', String(on.port)], {
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  await expect.poll(() => on.cloud.faults.held().length).toBeGreaterThan(0)
  child.kill('SIGKILL')
  await ended
  on.cloud.faults.set(SILENT)
  expect((await run()).code).toBe(0)
  expect(await left()).toEqual([...keep, 'uploads/there.jpg'].sort())
})

it('Ctrl-C stops it when what was begun is done', async () => {
  await store('uploads/a.jpg', A)
  await make('uploads/a.jpg', md5(A))
  await store('uploads/a.jpg', B)
  advance(31)
  on.cloud.faults.set([...SILENT, { on: 'DeleteObject', kind: 'hold', times: 1 }])
  const running = run()
  await held(on.cloud)
  process.emit('SIGINT')
  on.cloud.faults.set(SILENT)
  const { code, printed } = await running
  expect([code, printed.at(-1)]).toEqual([130, expect.stringMatching(/^Deleted \d objects/)])
  expect((await on.cloud.keys('.matting/failed/')).length).toBe(1)
})

it('whatever became of the photos, each cutout that is current, or was within 30 days, is still there and costs nothing', async () => {
  const colours = ['#b03020', '#2030b0']
  const bodies = await Promise.all(colours.map((colour) => photo(colour)))
  const keys = ['uploads/x.jpg', 'uploads/x.jpg/红 y.jpg']
  const key = fc.nat(keys.length - 1)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), key, colour: fc.nat(1) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('ask' as const), key }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), days: fc.constantFrom(1, 8, 29, 31) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('gc' as const) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 12 }), async (steps) => {
      await on.cloud.reset()
      on.cloud.faults.set(SILENT)
      await store('uploads/there.jpg', A)
      const now = () => on.cloud.clock.now()
      const current = new Map<string, number>()
      /** Version → when it was the current one the last time; only of those whose cutout was bought. */
      const bought = new Map<string, number>()
      const see = (name: string) => {
        const colour = current.get(name)
        if (bought.has(`${name} ${colour}`)) bought.set(`${name} ${colour}`, now())
      }
      const ask = async (name: string) => {
        const before = on.cloud.cos.bill().length
        const last = bought.get(`${name} ${current.get(name)}`)
        const { status } = await on.cloud.image(`/plain/${name.split('/').map(encodeURIComponent).join('/')}`)
        expect(status).toBe(current.has(name) ? 302 : 404)
        const isKept = last !== undefined && now() - last < 30 * DAY
        if (isKept) expect(on.cloud.cos.bill().length).toBe(before)
        if (current.has(name)) bought.set(`${name} ${current.get(name)}`, now())
      }
      for (const one of [...steps, { do: 'gc' } as const]) {
        if (one.do === 'advance') {
          for (const name of keys) see(name)
          on.cloud.clock.advance(one.days * DAY)
          for (const name of keys) see(name)
        } else if (one.do === 'gc') expect((await run('--force')).code).toBe(0)
        else {
          const name = keys[one.key] ?? ''
          see(name)
          if (one.do === 'ask') await ask(name)
          else if (one.do === 'delete') {
            await on.cloud.bucket.delete(name)
            current.delete(name)
          } else {
            await store(name, bodies[one.colour])
            current.set(name, one.colour)
          }
        }
      }
      for (const name of keys) await ask(name)
    }),
    { numRuns: Number(process.env.FUZZ_RUNS ?? 3) },
  )
})
