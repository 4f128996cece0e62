import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { codes } from '../lib/errors.ts'
import {
  type Answer,
  ask,
  claimsOf,
  codeOf,
  held,
  lapse,
  look,
  looks,
  misses,
  PHOTO,
  photo,
  putQuietly,
  receiptsOf,
  startForTest,
  startTestCloud,
  type TestCloud,
} from './helpers/cloud.ts'

const MUG = '/plain/uploads/mug.jpg'

/** A cloud whose function remembers nothing, so that every request is looked at. */
function start(environment: Record<string, string> = {}, options = {}) {
  return startForTest({ instances: 3, environment: { REDIRECT_TTL: '0', ...environment }, ...options })
}

async function withMug(environment: Record<string, string> = {}, options = {}): Promise<TestCloud> {
  const cloud = await start(environment, options)
  await putQuietly(cloud, 'uploads/mug.jpg', await photo())
  return cloud
}

/** A photo of nothing. */
function wall(): Promise<Buffer> {
  return sharp({ create: { ...PHOTO, channels: 3, background: '#e4e4e6' } })
    .jpeg()
    .toBuffer()
}

/** Problem details of this code, that no cache keeps. */
function isProblem(answer: Answer, code: string): void {
  const { status, retryable } = codes.get(code) ?? { status: 0 }
  expect(codeOf(answer)).toBe(code)
  expect(answer.status).toBe(status)
  expect(JSON.parse(answer.body)).toEqual({ title: expect.any(String), status, code })
  expect(answer.headers).toMatchObject({
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
  })
  expect('retry-after' in answer.headers).toBe(retryable)
}

/** A redirect, by what it says of itself; returns what it leads to. */
async function leadsTo(answer: Answer, how: string): Promise<Buffer> {
  expect([answer.status, answer.body]).toEqual([302, ''])
  expect(answer.headers).toMatchObject({ 'x-matting': how, 'access-control-allow-origin': '*' })
  expect(answer.headers['cache-control']).toMatch(how === 'direct' ? /^private, no-store$/ : /^public, max-age=\d+/)
  const picture = await fetch(answer.headers.location ?? '')
  // Or a browser that has shown it could not draw it on a canvas any more.
  expect([picture.status, picture.headers.get('vary')]).toEqual([200, 'Origin'])
  return Buffer.from(await picture.arrayBuffer())
}

async function isCutout(answer: Answer, how: string): Promise<void> {
  const png = await leadsTo(answer, how)
  expect(await look(png)).toMatchObject({ format: 'png', alpha: [0, 255] })
}

async function isOriginal(answer: Answer, body: Buffer): Promise<void> {
  expect(await leadsTo(answer, 'original')).toEqual(body)
  expect(answer.headers['cache-control']).toBe('public, max-age=30')
}

const KEYS = 'shop:0123456789abcdef, spare:fedcba9876543210'

/** Path and query of a URL signed for so many seconds. */
function signed(key: string, seconds: number, layout = 'plain', id = 'shop', secret = '0123456789abcdef'): string {
  return imageUrl('', { layout, key, expires: Math.floor(Date.now() / 1000) + seconds }, id, secret)
}

/** A server of pictures elsewhere, and a cloud that reaches it as pictures.example. */
async function withPictures(environment: Record<string, string> = {}) {
  const pictures = new Map<string, Buffer>([['/mug.jpg?size=1', await photo()]])
  const server = createServer((request, response) => {
    const body = pictures.get(request.url ?? '')
    if (request.url === '/away') return void response.writeHead(302, { location: 'http://evil.example/' }).end()
    if (!body) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': body.length }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const cloud = await start(
    { DETECT_HOSTS: 'pictures.example', ...environment },
    { hosts: new Map([['pictures.example', port]]) },
  )
  return { cloud, pictures }
}

const elsewhere = (path: string, layout = 'plain') =>
  `/${layout}/${encodeURIComponent(`http://pictures.example${path}`)}`

/** First cell of a row of docs/http.md's table "request → answer" → its test. */
const rows: Record<string, () => Promise<void>> = {
  'the cutout is there': async () => {
    const cloud = await withMug()
    await cloud.upload('uploads/mug.jpg', await photo())
    for (let i = 0; i < 5; i++) await isCutout(await cloud.image(MUG), 'hit')
    expect(cloud.cos.bill()).toHaveLength(1)
  },
  'it is not there yet': async () => {
    const cloud = await withMug()
    const answer = await cloud.image(MUG)
    await isCutout(answer, 'made')
    expect(answer.headers['server-timing']).toMatch(/^look;dur=\d+, claim;dur=\d+, pay;dur=\d+$/)
    await isCutout(await cloud.image(MUG), 'hit')
    expect(cloud.cos.bill()).toHaveLength(1)
  },
  'somebody else is making it': async () => {
    const body = await photo()
    for (const [policy, expected] of [
      ['wait', async (answer: Answer) => isCutout(answer, 'joined')],
      ['retry', async (answer: Answer) => isProblem(answer, 'pending')],
      ['original', async (answer: Answer) => isOriginal(answer, body)],
    ] as const) {
      const cloud = await withMug({ ON_PENDING: policy })
      cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
      const first = cloud.image(MUG)
      await held(cloud)
      const others = ask(cloud, 2)
      // Who waits sees what comes; who does not has gone before.
      await misses(cloud, 2)
      if (policy !== 'wait') await others
      cloud.faults.release()
      for (const answer of await others) await expected(answer)
      await isCutout(await first, 'made')
      expect(cloud.cos.bill()).toHaveLength(1)
    }
  },
  'a layout in the vendor’s words': async () => {
    const spellings = [
      'center-layout=1,padding-layout=20x10',
      'padding-layout=20x10,center-layout=1',
      'center-layout%3D1%2Cpadding-layout=020x10',
      'card',
    ]
    const cloud = await withMug()
    for (const layout of spellings)
      await isCutout(await cloud.image(`/${layout}/uploads/mug.jpg`), layout === spellings[0] ? 'made' : 'hit')
    expect(cloud.cos.bill().map(({ rule }) => rule)).toEqual([
      'ci-process=GoodsMatting&center-layout=1&padding-layout=20x10',
    ])
    const [padded = ''] = await cloud.keys('cutouts/')
    expect(await look(await cloud.bytes(padded))).toMatchObject({
      width: PHOTO.width + 2 * 20,
      height: PHOTO.height + 2 * 10,
    })
    const strict = await withMug({ ACCESS: 'presets' })
    isProblem(await strict.image(`/${spellings[0]}/uploads/mug.jpg`), 'layout-refused')
    expect(strict.cos.bill()).toEqual([])
  },
  'a layout that does not exist': async () => {
    const cloud = await withMug()
    for (const layout of [
      'nope',
      'center-layout=2',
      'padding-layout=1001x0',
      'center-layout=1,center-layout=1',
      'size=100',
      'plain,card',
    ]) {
      const answer = await cloud.image(`/${layout}/uploads/mug.jpg`)
      isProblem(answer, 'bad-layout')
      expect(JSON.parse(answer.body).title).toMatch(
        layout.includes('=') ? /center-layout=0\|1.*0 to 1000.*width=/ : /there are: plain, card|After a preset/,
      )
    }
    expect(cloud.cos.bill()).toEqual([])
  },
  'with the redirect’s ETag in `If-None-Match`': async () => {
    const cloud = await withMug()
    const { headers } = await cloud.image(MUG)
    const { etag = '' } = headers
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const again = await cloud.image(MUG, { headers: { 'if-none-match': tag } })
      expect([again.status, again.headers.etag, again.headers.location]).toEqual([304, etag, undefined])
      expect(again.headers['cache-control']).toMatch(/^public, max-age/)
    }
    expect((await cloud.image(MUG, { headers: { 'if-none-match': '"x", *' } })).status).toBe(302)
  },
  HEAD: async () => {
    const cloud = await withMug({ ON_FAILURE: 'original' })
    const before = await cloud.image(MUG, { method: 'HEAD' })
    expect([before.status, before.headers['cache-control'], before.body]).toEqual([404, 'no-store', ''])
    expect(cloud.cos.bill()).toEqual([])
    expect(await claimsOf(cloud)).toEqual([])
    await cloud.image(MUG)
    await isCutout(await cloud.image(MUG, { method: 'HEAD' }), 'hit')
    expect(cloud.cos.bill()).toHaveLength(1)
  },
  '`ACCESS=signed`': async () => {
    const cloud = await withMug({ ACCESS: 'signed', URL_KEYS: KEYS })
    isProblem(await cloud.image(MUG), 'bad-signature')
    isProblem(await cloud.image(signed('uploads/mug.jpg', 60).replace('plain', 'card')), 'bad-signature')
    isProblem(
      await cloud.image(signed('uploads/mug.jpg', 60, 'plain', 'shop', 'another secret, a guess')),
      'bad-signature',
    )
    isProblem(await cloud.image(signed('uploads/mug.jpg', -1)), 'expired')
    // The photo that was put, and one look for COS's clock: whose time is over, it says.
    expect(cloud.cos.requests().filter(({ path }) => path.includes('uploads/'))).toHaveLength(2)
    await isCutout(await cloud.image(signed('uploads/mug.jpg', 60)), 'made')
    await isCutout(await cloud.image(signed('uploads/mug.jpg', 60, 'plain', 'spare', 'fedcba9876543210')), 'hit')
    await isCutout(await cloud.image(signed('uploads/mug.jpg', 60, 'center-layout=1')), 'made')
    expect(cloud.cos.bill()).toHaveLength(2)
  },
  'a picture elsewhere': async () => {
    const { cloud, pictures } = await withPictures()
    await isCutout(await cloud.image(elsewhere('/mug.jpg?size=1')), 'made')
    await isCutout(await cloud.image(elsewhere('/mug.jpg?size=1')), 'hit')
    expect(cloud.cos.bill()).toMatchObject([{ method: 'download', source: 'http://pictures.example/mug.jpg' }])
    expect(await cloud.keys('cutouts/')).toEqual([
      expect.stringMatching(/^cutouts\/http_3A\/_2Fpictures\.example\/mug\.jpg_3F\w{32}\/[0-9a-f]{64}-plain\.png$/),
    ])
    pictures.set('/mug.jpg?size=1', await photo('#2040b0'))
    await isCutout(await cloud.image(elsewhere('/mug.jpg?size=1', 'card')), 'made')
    await isCutout(await cloud.image(elsewhere('/mug.jpg?size=1')), 'made')
    expect(cloud.cos.bill()).toHaveLength(3)
    isProblem(await cloud.image(elsewhere('/none.jpg')), 'not-found')
    isProblem(await cloud.image(elsewhere('/away')), 'host-refused')
    isProblem(await cloud.image(`/plain/${encodeURIComponent('http://evil.example/a.jpg')}`), 'host-refused')
    isProblem(await cloud.image(`/plain/${encodeURIComponent('ftp://pictures.example/a.jpg')}`), 'bad-request')
    pictures.set('/text.jpg', Buffer.from('no picture'))
    isProblem(await cloud.image(elsewhere('/text.jpg')), 'not-an-image')
    expect(cloud.cos.bill()).toHaveLength(3)
  },
  'a view': async () => {
    const cloud = await withMug()
    const { location } = (await cloud.image('/width=20,format=webp/uploads/mug.jpg')).headers
    expect(location).toMatch(
      /-plain\.png\?imageMogr2%2Fthumbnail%2F20x%2Fformat%2Fwebp%2Fquality%2F80=&q-sign-algorithm=/,
    )
    isProblem(await cloud.image('/width=0/uploads/mug.jpg'), 'bad-view')
    const presets = await withMug({ ACCESS: 'presets' })
    isProblem(await presets.image('/plain,width=20/uploads/mug.jpg'), 'layout-refused')
    expect(presets.cos.bill()).toEqual([])
  },
  'sizes or formats in the query (`?w=400`)': async () => {
    const cloud = await withMug()
    isProblem(await cloud.image('/plain/uploads/mug.jpg?w=400'), 'bad-request')
    expect(cloud.cos.bill()).toEqual([])
  },
  'no such photo': async () => {
    const cloud = await withMug()
    const keys = [
      'uploads/nope.jpg',
      'uploads/',
      `uploads/${'%E6%9D%AF'.repeat(98)}.jpg`,
      `uploads/${'k'.repeat(900)}`,
      'uploads/x/0123456789abcdef0123456789abcdef-plain.png',
      'uploads/x/0123456789abcdef0123456789abcdef-plain/w400-trim.webp',
      'uploads/..%2Fother%2Fa.jpg',
    ]
    for (const key of keys) isProblem(await cloud.image(`/plain/${key}`), 'not-found')
    expect(cloud.cos.bill()).toEqual([])
  },
  'not in a source folder': async () => {
    const cloud = await withMug()
    await cloud.bucket.put('other/mug.jpg', await photo(), { type: 'image/jpeg' })
    const before = cloud.cos.requests().length
    for (const key of ['other/mug.jpg', 'cutouts/uploads/mug.jpg/0123456789abcdef-plain.png', '.matting/claims/x'])
      isProblem(await cloud.image(`/plain/${key}`), 'not-a-source')
    expect(cloud.cos.requests()).toHaveLength(before)
    expect(cloud.cos.bill()).toEqual([])
  },
  'the photo cannot be cut out': async () => {
    const bad: [code: string, body: Buffer, paid: number][] = [
      ['not-an-image', Buffer.from('no image'), 0],
      ['too-large', Buffer.concat([await photo(), Buffer.alloc(40_000)]), 0],
      ['no-product', await wall(), 1],
    ]
    for (const policy of ['error', 'original']) {
      const cloud = await start({ ON_FAILURE: policy, MAX_SOURCE_BYTES: '30000' })
      for (const [code, body, paid] of bad) {
        const before = cloud.cos.bill().length
        await putQuietly(cloud, 'uploads/bad.jpg', body)
        for (let i = 0; i < 3; i++) {
          const answer = await cloud.image('/plain/uploads/bad.jpg')
          if (policy === 'error') isProblem(answer, code)
          else await isOriginal(answer, body)
        }
        // A blank result was paid, and never again.
        expect(cloud.cos.bill().length - before).toBe(paid)
      }
    }
  },
  'DAILY_LIMIT is used up': async () => {
    const cloud = await withMug({ DAILY_LIMIT: '0' })
    const answer = await cloud.image(MUG)
    isProblem(answer, 'limit-reached')
    expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(86_400)
  },
  'COS or Cloud Infinite does not answer, or is busy': async () => {
    const cloud = await withMug()
    cloud.faults.set([{ on: 'HeadObject', kind: 'error' }])
    isProblem(await cloud.image(MUG), 'unavailable')
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'slow-down' }])
    isProblem(await cloud.image(MUG), 'busy')
    expect(cloud.cos.bill()).toEqual([])
    // Nothing was bought, so nobody has to wait for the claim's time to pass.
    cloud.faults.set([])
    await isCutout(await cloud.image(MUG), 'made')
  },
  '`DELIVERY=direct`': async () => {
    const cloud = await withMug({ DELIVERY: 'direct' })
    const answer = await cloud.image('/card/uploads/mug.jpg')
    expect(answer.headers.location).toContain('center-layout=1&padding-layout=20x10')
    expect(cloud.cos.bill()).toEqual([])
    expect((await cloud.image('/card/uploads/mug.jpg')).headers.etag).toBe(answer.headers.etag)
    await isCutout(answer, 'direct')
    expect(cloud.cos.bill()).toMatchObject([{ method: 'download', source: 'uploads/mug.jpg' }])
    expect(await cloud.keys('cutouts/')).toEqual([])
    isProblem(await cloud.image('/card/uploads/none.jpg'), 'not-found')
  },
  'anything else': async () => {
    const cloud = await withMug()
    for (const path of ['/plain', '/plain/', '//uploads/mug.jpg', '/favicon.ico'])
      isProblem(await cloud.image(path), 'bad-request')
    for (const method of ['POST', 'DELETE', 'OPTIONS']) {
      const answer = await cloud.image(MUG, { method })
      isProblem(answer, 'method-refused')
      expect(answer.headers.allow).toBe('GET, HEAD')
    }
    expect(cloud.cos.bill()).toEqual([])
  },
  '`GET /`, `GET /healthz`': async () => {
    const cloud = await start({ ACCESS: 'presets' })
    const help = await cloud.image('/')
    expect([help.status, help.headers['content-type']]).toEqual([200, 'application/json'])
    expect(JSON.parse(help.body)).toEqual({ usage: '/<layout>/<key>', layouts: ['plain', 'card'] })
    const health = await cloud.image('/healthz')
    expect([health.status, health.headers['cache-control'], JSON.parse(health.body)]).toEqual([
      200,
      'no-store',
      { status: 'ok' },
    ])
    expect(cloud.cos.requests()).toEqual([])
  },
}

describe('request → answer', () => {
  const readme = readFileSync(new URL('../docs/http.md', import.meta.url), 'utf8')
  const [, table = ''] = readme.split('| request | answer |\n|---|---|\n')
  const listed = (table.split('\n\n')[0] ?? '').split('\n').map((line) => line.split('|')[1]?.trim() ?? '')
  it('docs/http.md has a row for each, and each row a test', () => {
    expect(listed).toEqual(Object.keys(rows))
  })
  it.each(Object.entries(rows))('%s', async (_, row) => row())
})

describe('what a preset says beats ON_PENDING and ON_FAILURE', () => {
  it('for that preset alone', async () => {
    const body = await wall()
    const cloud = await start({
      PRESETS: 'plain=; card=on-failure=original&center-layout=1; thumb=on-pending=retry&padding-layout=1x1',
      ON_PENDING: 'original',
    })
    await putQuietly(cloud, 'uploads/bad.jpg', body)
    await isOriginal(await cloud.image('/card/uploads/bad.jpg'), body)
    isProblem(await cloud.image('/plain/uploads/bad.jpg'), 'no-product')
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const making = ['plain', 'thumb'].map((preset) => cloud.image(`/${preset}/uploads/mug.jpg`))
    await held(cloud, 2)
    isProblem(await cloud.image('/thumb/uploads/mug.jpg'), 'pending')
    await isOriginal(await cloud.image(MUG), await photo())
    cloud.faults.release()
    for (const answer of making) await isCutout(await answer, 'made')
  })
})

describe('a blank result', () => {
  it('is known by its first bytes, for no request more, by the trigger too, and not paid for in another layout', async () => {
    const cloud = await start()
    await cloud.upload('uploads/wall.jpg', await wall())
    expect(cloud.scf.invocations().at(-1)?.logs.at(-1)).toContain('"code":"no-product"')
    expect(cloud.scf.deadLetters()).toEqual([])
    expect(cloud.cos.bill()).toMatchObject([{ blank: true }])
    const before = cloud.cos.requests().length
    isProblem(await cloud.image('/plain/uploads/wall.jpg'), 'no-product')
    const made = cloud.cos.requests().slice(before)
    expect(made.map(({ operation }) => operation)).toEqual(['HeadObject', 'GetObject'])
    for (const layout of ['card', 'center-layout=1', 'padding-layout=1x1'])
      isProblem(await cloud.image(`/${layout}/uploads/wall.jpg`), 'no-product')
    // An event that comes again pays nothing.
    await cloud.upload('uploads/wall.jpg', await wall())
    expect(cloud.cos.bill()).toHaveLength(1)
    // What was paid is kept.
    expect(await cloud.keys('cutouts/')).toHaveLength(1)
  })
})

describe('a picture elsewhere', () => {
  it('that was paid for and could not be stored is not paid for again while its claim lasts', async () => {
    const { cloud } = await withPictures({ ON_PENDING: 'retry', CLAIM_TIME: '60' })
    cloud.faults.set([{ on: 'PutObject', prefix: 'cutouts/', kind: 'error' }])
    for (let i = 0; i < 3; i++) isProblem(await cloud.image(elsewhere('/mug.jpg?size=1')), 'pending')
    expect(cloud.cos.bill()).toHaveLength(1)
    expect(await receiptsOf(cloud)).toMatchObject([{ receipt: { outcome: 'sent' } }])
  })

  it('in direct delivery is a signed URL of the vendor’s', async () => {
    const { cloud } = await withPictures({ DELIVERY: 'direct' })
    await isCutout(await cloud.image(elsewhere('/mug.jpg?size=1')), 'direct')
    expect(cloud.cos.bill()).toMatchObject([{ method: 'download', source: 'http://pictures.example/mug.jpg' }])
    expect(await cloud.keys('')).toEqual([])
  })

  it('is the original, where one is wanted; too large it is refused unseen', async () => {
    const { cloud, pictures } = await withPictures({ ON_FAILURE: 'original', MAX_SOURCE_BYTES: '20000' })
    pictures.set('/wall.jpg', await wall()).set('/large.jpg', Buffer.alloc(20_001))
    const { headers } = await cloud.image(elsewhere('/wall.jpg'))
    expect(headers).toMatchObject({ 'x-matting': 'original', location: 'http://pictures.example/wall.jpg' })
    expect(cloud.cos.bill()).toHaveLength(1)
    isProblem(await cloud.image(elsewhere('/large.jpg')), 'too-large')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('leaves neither its query nor a signature in a log', async () => {
    const { cloud, pictures } = await withPictures({ ACCESS: 'signed', URL_KEYS: KEYS })
    pictures.set('/a.jpg?token=hush', await photo())
    await isCutout(await cloud.image(signed('http://pictures.example/a.jpg?token=hush', 60)), 'made')
    const logs = cloud.scf.invocations().flatMap((run) => run.logs)
    expect(logs).toEqual([expect.stringContaining('pictures.example')])
    expect(logs.join()).not.toMatch(/hush|sig=/)
  })
})

describe('an instance that is warm', () => {
  it('keeps layouts and keys apart, whatever characters are in them', async () => {
    const cloud = await start({ REDIRECT_TTL: '300' }, { instances: 1 })
    const keys = ['uploads/杯.jpg', 'uploads/杯.jpg\nuploads/%E6%9D%AF.jpg']
    for (const [i, key] of keys.entries()) await putQuietly(cloud, key, await photo(`#20${i}0b0`))
    const paths = [
      '/plain/%75ploads/%E6%9D%AF.jpg%0Auploads/%25E6%259D%25AF.jpg',
      '/plain/uploads/%E6%9D%AF.jpg',
      '/card/uploads/%E6%9D%AF.jpg',
    ]
    const seen = new Set<unknown>()
    for (const path of [...paths, ...paths]) seen.add((await cloud.image(path)).headers.location)
    expect(seen.size).toBe(3)
    expect(cloud.cos.bill()).toHaveLength(3)
  })

  it('remembers that a photo is blank, and nothing else that failed', async () => {
    const cloud = await start({ REDIRECT_TTL: '300', ON_PENDING: 'original' }, { instances: 2 })
    await putQuietly(cloud, 'uploads/wall.jpg', await wall())
    for (let i = 0; i < 4; i++) isProblem(await cloud.image('/plain/uploads/wall.jpg'), 'no-product')
    const asked = cloud.cos.requests().length
    isProblem(await cloud.image('/plain/uploads/wall.jpg'), 'no-product')
    expect(cloud.cos.requests()).toHaveLength(asked)
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const first = cloud.image(MUG)
    await held(cloud)
    await isOriginal(await cloud.image(MUG), await photo())
    cloud.faults.release()
    await isCutout(await first, 'made')
    for (let i = 0; i < 4; i++) await isCutout(await cloud.image(MUG), 'hit')
  })

  it.each([
    ['no-cache', 'anew'],
    ['max-age=0, No-Cache', 'anew'],
    ['max-age=0', 'from memory'],
    ['no-cachet', 'from memory'],
  ])('asked with Cache-Control: %s, as by a forced reload, answers %s', async (header, how) => {
    const cloud = await start({ REDIRECT_TTL: '300' }, { instances: 1 })
    await cloud.upload('uploads/mug.jpg', await photo())
    const first = await cloud.image(MUG)
    await cloud.upload('uploads/mug.jpg', await photo('#2040b0'))
    const again = await cloud.image(MUG, { headers: { 'cache-control': header } })
    expect(again.headers.location === first.headers.location).toBe(how === 'from memory')
    // What was seen anew is remembered.
    expect((await cloud.image(MUG)).headers.location).toBe(again.headers.location)
    // It pays for nothing that is not asked for.
    expect((await cloud.image(MUG, { method: 'HEAD', headers: { 'cache-control': header } })).status).toBe(302)
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('answers from memory: no call for a hit, nor for a 304; and no longer than REDIRECT_TTL, its caches’ time included', async () => {
    const cloud = await start({ REDIRECT_TTL: '300' }, { instances: 1 })
    await cloud.upload('uploads/mug.jpg', await photo())
    const first = await cloud.image(MUG)
    const maxAge = ({ headers }: Answer) => Number(/max-age=(\d+)/.exec(headers['cache-control'] ?? '')?.[1])
    // The second begun while it looked counts.
    expect(maxAge(first)).toBeLessThan(300)
    const before = cloud.cos.requests().length
    await putQuietly(cloud, 'uploads/mug.jpg', await photo('#2040b0'))
    const put = cloud.cos.requests().length - before
    const answers = [
      await cloud.image(MUG),
      await cloud.image(MUG, { headers: { 'if-none-match': first.headers.etag ?? '' } }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([302, 304])
    expect(answers[0]?.headers.location).toBe(first.headers.location)
    expect(cloud.cos.requests()).toHaveLength(before + put)
    cloud.clock.advance(200_000)
    const later = await cloud.image(MUG)
    // Perhaps by the URL of another window.
    const place = ({ headers }: Answer) => new URL(headers.location ?? '').pathname
    expect([later.headers['x-matting'], place(later)]).toEqual(['hit', place(first)])
    expect(maxAge(later)).toBeGreaterThan(0)
    expect(maxAge(later)).toBeLessThanOrEqual(100)
    // Then it looks again, and finds the new photo.
    cloud.clock.advance(100_000)
    expect((await cloud.image(MUG)).headers['x-matting']).toBe('made')
    expect(cloud.cos.bill()).toHaveLength(2)
  })
})

describe('within a window', () => {
  it('everybody gets the same URL, from all instances', async () => {
    const cloud = await withMug()
    await cloud.image(MUG)
    const answers = await ask(cloud, 12)
    expect(new Set(cloud.scf.invocations().map(({ instance }) => instance)).size).toBeGreaterThan(1)
    expect(new Set(answers.map(({ headers }) => headers.location)).size).toBe(1)
  })

  it('stands DELIVERY_URL, where there is one', async () => {
    const cloud = await start({ DELIVERY_URL: 'https://cdn.example.com', REDIRECT_TTL: '60', ON_FAILURE: 'original' })
    await cloud.upload('uploads/a b.jpg', await photo())
    const { headers } = await cloud.image('/plain/uploads/a%20b.jpg')
    expect(headers.location).toMatch(
      /^https:\/\/cdn\.example\.com\/cutouts\/uploads\/a_20b\.jpg\/[0-9a-f]{32}-plain\.png$/,
    )
    expect(headers['cache-control']).toMatch(/^public, max-age=5\d, stale-while-revalidate=60$/)
    await putQuietly(cloud, 'uploads/c d.jpg', await wall())
    expect((await cloud.image('/plain/uploads/c%20d.jpg')).headers.location).toBe(
      'https://cdn.example.com/uploads/c%20d.jpg',
    )
  })

  it('promise 6: a redirect is not cached for longer than its own URL is signed', async () => {
    const cloud = await withMug({ ACCESS: 'signed', URL_KEYS: KEYS, REDIRECT_TTL: '300' })
    const { headers } = await cloud.image(signed('uploads/mug.jpg', 20))
    expect(headers['cache-control']).toMatch(/^public, max-age=(20|1\d)$/)
    const long = await cloud.image(signed('uploads/mug.jpg', 5_000))
    expect(long.headers['cache-control']).toMatch(/^public, max-age=(300|29\d), stale-while-revalidate=300$/)
  })
})

describe('a line in the log', () => {
  const linesOf = (cloud: TestCloud) =>
    cloud.scf
      .invocations()
      .flatMap(({ logs }) => logs)
      .map((line) => JSON.parse(line))

  it('stands for all that was paid, whatever was answered, and for an original in place of trouble', async () => {
    const cloud = await start({ ON_FAILURE: 'original', CLAIM_TIME: '60' })
    await putQuietly(cloud, 'uploads/wall.jpg', await wall())
    const path = '/plain/uploads/wall.jpg'
    for (let i = 0; i < 2; i++) await isOriginal(await cloud.image(path), await wall())
    expect(linesOf(cloud)).toEqual([{ function: 'image', path, outcome: 'original', paid: 1 }])
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied' }])
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied' }])
    await isOriginal(await cloud.image(MUG), await photo())
    expect(linesOf(cloud).at(-1)).toMatchObject({ path: MUG, outcome: 'original', code: 'denied' })
    const plain = await start()
    await putQuietly(plain, 'uploads/wall.jpg', await wall())
    isProblem(await plain.image(path), 'no-product')
    expect(linesOf(plain)).toMatchObject([{ path, outcome: 'failed', code: 'no-product', paid: 1 }])
  })
})

describe('promise 6, with clocks that differ', () => {
  it.each([-150, 150, -600, 600])(
    'an instance %i s off redirects to URLs that live for as long as it says',
    async (seconds) => {
      const cloud = await start({ URL_WINDOW: '60', REDIRECT_TTL: '300' }, { instances: 1 })
      await putQuietly(cloud, 'uploads/mug.jpg', await photo())
      cloud.faults.set([{ on: 'Instance', kind: 'skew', ms: seconds * 1_000 }])
      // Made, and then from memory.
      for (let i = 0; i < 2; i++) {
        const { headers } = await cloud.image(MUG)
        expect((await fetch(headers.location ?? '')).status).toBe(200)
        const [start = 0, end = 0] = (new URL(headers.location ?? '').searchParams.get('q-sign-time') ?? '')
          .split(';')
          .map(Number)
        const [fresh = 0, stale = 0] = [...(headers['cache-control'] ?? '').matchAll(/=(\d+)/g)].map(([, value]) =>
          Number(value),
        )
        const now = Date.now() / 1_000
        expect(start).toBeLessThanOrEqual(now - 298)
        // Nor for its last half a minute.
        expect(now + fresh + stale).toBeLessThanOrEqual(end - 28)
        expect(fresh).toBeGreaterThan(0)
      }
    },
  )
})

describe('a photo that is replaced while it is cut out', () => {
  it('is not shown to those who waited for it', async () => {
    const cloud = await withMug()
    cloud.faults.set([
      { on: 'GoodsMatting', kind: 'hold', times: 1 },
      { on: 'Event', kind: 'drop' },
    ])
    const asking = cloud.image(MUG)
    await held(cloud)
    const joining = cloud.image(MUG)
    await looks(cloud)
    await cloud.bucket.put('uploads/mug.jpg', await photo('#2040b0'), { type: 'image/jpeg' })
    cloud.faults.release()
    isProblem(await asking, 'changed')
    lapse(cloud)
    isProblem(await joining, 'changed')
    expect(await cloud.keys('cutouts/')).toEqual([])
  })
})

describe('promise 4: no URL that is handed out can be turned into another paid call', () => {
  const appendices = [
    '&ci-process=GoodsMatting',
    '&ci-process=GoodsMatting&center-layout=1',
    '&%63i-process=GoodsMatting',
    `&ci-process=GoodsMatting&detect-url=${encodeURIComponent('http://127.0.0.1/a.jpg')}`,
    '&image_process',
  ]

  it.each([
    ['signed by the role', { DELIVERY_KEY: '' }],
    ['signed by DELIVERY_KEY', {}],
    ['to the photo, signed by DELIVERY_KEY', { ON_FAILURE: 'original' }],
  ])('%s', async (what, environment) => {
    const cloud = await start(environment)
    await putQuietly(cloud, 'uploads/mug.jpg', what.startsWith('to the photo') ? await wall() : await photo())
    const { headers } = await cloud.image(MUG)
    const paid = cloud.cos.bill().length
    for (const appendix of appendices) {
      for (const method of ['GET', 'POST', 'PUT']) {
        await fetch(`${headers.location}${appendix}`, {
          method,
          headers: {
            'pic-operations': JSON.stringify({ rules: [{ fileid: '/x.png', rule: 'ci-process=GoodsMatting' }] }),
          },
        })
      }
    }
    expect(cloud.cos.bill()).toHaveLength(paid)
    expect((await fetch(headers.location ?? '')).status).toBe(200)
  })

  it('the direct one pays for what it says, and in strict-signature mode for nothing else', async () => {
    const cloud = await withMug({ DELIVERY: 'direct' })
    const { headers } = await cloud.image(MUG)
    const strict = `<StrictSignatureConfiguration><Rule><ID>all</ID><actionlist><action>*</action></actionlist><paramlist><param>all</param></paramlist></Rule></StrictSignatureConfiguration>`
    const { authorization } = await import('./helpers/cos.ts')
    const put = await fetch(`${cloud.cosUrl}/?strict-signature`, {
      method: 'PUT',
      body: strict,
      headers: {
        authorization: authorization({
          method: 'PUT',
          path: '/',
          query: { 'strict-signature': '' },
          id: 'local-id',
          secret: 'local-secret',
        }),
      },
    })
    expect(put.status).toBe(200)
    for (const other of [
      headers.location?.replace('center-layout=0', 'center-layout=1'),
      headers.location?.replace('padding-layout=0x0', 'padding-layout=9x9'),
      headers.location?.replace('mug.jpg', 'bag.jpg'),
      `${headers.location}&detect-url=${encodeURIComponent('http://pictures.example/a.jpg')}`,
    ]) {
      expect((await fetch(other ?? '')).status).toBe(403)
    }
    expect(cloud.cos.bill()).toEqual([])
    expect((await fetch(headers.location ?? '')).status).toBe(200)
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('promise 3', () => {
  let cloud: TestCloud
  beforeAll(async () => {
    cloud = await startTestCloud({ environment: { REDIRECT_TTL: '0' } })
  })
  afterAll(() => cloud.close())

  it('no path makes a 5xx or costs anything where there is no photo', async () => {
    const unit = fc.constantFrom(
      ...'/%.=,x1250aA-_~+&?#\\"\'',
      ...['plain', 'uploads/', 'center-layout=', '%00', '%zz', '%e7%ba%a2', '%2e%2e/', 'https://'],
    )
    await fc.assert(
      fc.asyncProperty(fc.string({ unit, minLength: 1 }), fc.constantFrom('GET', 'HEAD'), async (path, method) => {
        const { status, headers, body } = await cloud.image(`/${path}`, { method })
        // Which a dot as a folder, in whatever spelling, is resolved to.
        if (status === 200) {
          if (method === 'GET') expect(JSON.parse(body)).toMatchObject({ usage: '/<layout>/<key>' })
          return
        }
        expect(status).toBeGreaterThanOrEqual(400)
        expect(status).toBeLessThan(500)
        expect(headers['cache-control']).toBe('no-store')
      }),
      { numRuns: 300 },
    )
    expect(cloud.cos.bill()).toEqual([])
  })

  it('a wrong configuration is a 500 that names it, and loses no event', async () => {
    const cloud = await start({ REDIRECT_TTL: 'soon' })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.deadLetters()).toHaveLength(1)
    const answer = await cloud.image(MUG)
    isProblem(answer, 'misconfigured')
    expect(answer.body).toContain('REDIRECT_TTL')
  })
})

it('every code has a status that fits it', () => {
  for (const [code, { status, retryable }] of codes) {
    expect(code).toMatch(/^[a-z-]+$/)
    if (status < 500) expect(retryable).toBe(status === 429)
  }
})
