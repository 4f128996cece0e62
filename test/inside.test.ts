import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../lib/config.ts'
import { explain } from '../lib/explain.ts'
import { createInvocation } from '../lib/invocation.ts'
import { encode } from '../lib/sign.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import { PAGE } from '../local/grant.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { authorization, sendRaw } from './helpers/cos.ts'
import { createSpeaker, query, startInside, type Told } from './helpers/inside.ts'

const URL_KEY = '0123456789abcdef'
/** It holds what HTML, JSON, URLs and server-sent events would take for their own. */
const NASTY = 'uploads/<img src=x onerror=alert(1)>\n\ndata: "a&b" 100%+#?.jpg'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside({
    PRESETS: 'card: center-layout 1, padding-layout 20x10, tile: width 160|480, format webp',
  })
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, one, story, states, send, listen } = createSpeaker(() => cloud)

describe('the page', () => {
  it('is served with a policy under which it can reach the local cloud, and nothing else', async () => {
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/page.js', 'text/javascript'],
      ['/page.css', 'text/css'],
    ]) {
      const { status, headers, text } = await ask('GET', path ?? '')
      expect([status, headers.get('content-type')]).toEqual([200, `${type}; charset=utf-8`])
      expect(text.length).toBeGreaterThan(300)
      const there = `${cloud.cosUrl} ${cloud.imageUrl}`
      expect(headers.get('content-security-policy')?.split('; ')).toEqual([
        "default-src 'self'",
        `connect-src 'self' ${there}`,
        `img-src 'self' blob: data: ${there}`,
        "style-src 'self'",
        "script-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ])
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cache-control')).toBe('no-cache')
    }
  })

  it('is led to from localhost, which a browser takes for another site than the other ports', async () => {
    const port = Number(new URL(cloud.controlUrl).port)
    const { status, headers } = await sendRaw(port, 'GET', '/', { headers: { Host: `localhost:${port}` } })
    expect([status, headers.location]).toEqual([302, `${cloud.controlUrl}/`])
  })

  it.each(['cosUrl', 'imageUrl'] as const)(
    'is named by one line at / of %s, to who asks for HTML and to nobody else',
    async (name) => {
      const get = (accept: string, path = '/', headers = {}) =>
        fetch(cloud[name] + path, { headers: { accept, ...headers } })
      const html = 'text/html,application/xhtml+xml,*/*;q=0.8'
      const led = await get(html)
      const text = await led.text()
      expect([led.status, led.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
      expect(text).toContain(`<a href="${cloud.controlUrl}/">`)
      expect(text.trim().split('\n')).toHaveLength(1)
      const plain = await get('*/*')
      const before = await plain.text()
      expect(before).not.toContain('<a href')
      expect([plain.status, plain.headers.get('content-type')]).toEqual(
        name === 'cosUrl' ? [403, 'application/xml'] : [200, 'application/json'],
      )
      for (const other of [
        get('application/json, text/htmlx'),
        get(html, '/?max-keys=1'),
        get(html, '/x'),
        get(html, '/', { authorization: 'q-x' }),
      ])
        expect(await (await other).text()).not.toContain('<a href')
    },
  )
})

describe('strangers', () => {
  const routes = [
    'GET /',
    'GET /page.js',
    'GET /api/live',
    'GET /api/place',
    'GET /api/photos',
    'GET /api/meter',
    'POST /api/uploads',
    'DELETE /api/photos?key=uploads/mug.jpg',
  ]
  it.each(routes)('a foreign page, or a name that was made to lead here, gets nothing of %s', async (route) => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const [method = '', path = ''] = route.split(' ')
    const port = Number(new URL(cloud.controlUrl).port)
    const host = { Host: `127.0.0.1:${port}` }
    for (const headers of [
      { ...host, Origin: 'http://evil.example' },
      { ...host, Origin: 'null' },
      { ...host, Origin: 'http://127.0.0.1:1' },
      { ...host, Origin: cloud.cosUrl },
      { ...host, 'Sec-Fetch-Site': 'cross-site', Referer: 'http://evil.example/' },
      { Host: `evil.example:${port}` },
    ]) {
      const { status, text } = await sendRaw(port, method, path, { headers })
      expect([status, text]).toEqual([403, expect.stringContaining('answers only this machine')])
    }
    expect(await cloud.keys('uploads/')).toEqual(['uploads/mug.jpg'])
  })

  it('learn no secret and no signature from any answer, but from the presigned URLs that are asked for', async () => {
    const live = await listen()
    const { put } = await send(await photo(), { name: 'mug.jpg', way: 'plain' })
    expect(put.status).toBe(200)
    await cloud.scf.idle()
    await cloud.image('/plain/uploads/mug.jpg?exp=1&kid=shop&sig=a-signature')
    await fetch(
      `${cloud.cosUrl}/?${authorization({ method: 'GET', path: '/', id: 'local-id', secret: 'local-secret' })}`,
    )
    await expect.poll(() => live.of('request').some(({ operation }) => operation === 'GetBucket')).toBe(true)
    const key = { key: 'uploads/mug.jpg' }
    const texts = [live.text()]
    for (const path of ['/api/place', '/api/meter', `/api/story${query(key)}`, '/api/requests', '/api/faults/presets'])
      texts.push((await ask('GET', path)).text)
    for (const text of texts)
      expect(text).not.toMatch(/local-secret|whsec_|q-signature|q-sign-time|a-signature|security-token|authorization/i)
    const { text } = await ask('GET', `/api/photo${query(key)}`)
    expect(text).toContain('q-signature')
    expect(text).not.toMatch(/local-secret|whsec_|local-id/)
  })
})

describe('GET /api/place', () => {
  it('tells where everything is, and what may be asked for', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8'))
    expect((await ask('GET', '/api/place')).json).toEqual({
      cosUrl: cloud.cosUrl,
      imageUrl: cloud.imageUrl,
      bucket: 'photos-1250000000',
      region: 'ap-guangzhou',
      folders: ['uploads/'],
      presets: [
        { name: 'plain', layout: 'plain', words: '' },
        { name: 'card', layout: 'c1-p20x10', words: 'center-layout=1,padding-layout=20x10' },
        { name: 'tile', layout: 'plain', words: 'width=160,format=webp' },
      ],
      access: 'open',
      engine: 'own',
      events: true,
      version,
    })
  })
})

describe('uploads', () => {
  it('plain: the trigger does the rest', async () => {
    const { granted, put } = await send(await photo(), { name: 'C:\\shop\\mug.jpg', way: 'plain' })
    expect(granted.json).toMatchObject({ key: 'uploads/mug.jpg', way: 'plain' })
    expect([put.status, put.headers.get('access-control-allow-origin')]).toEqual([200, cloud.controlUrl])
    await cloud.scf.idle()
    expect((await ask('GET', '/api/meter')).json).toMatchObject({ paid: 1, saved: 0 })
  })

  it('method two: pays once, and its event then finds the cutout', async () => {
    const body = await photo()
    const { granted, put } = await send(body, { name: 'mug.jpg', way: 'two', md5: hash('md5', body) })
    expect([granted.json.way, put.status]).toEqual(['two', 200])
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toMatchObject([{ method: 'upload', source: 'uploads/mug.jpg' }])
    await expect.poll(async () => (await ask('GET', '/api/meter')).json).toMatchObject({ paid: 1, saved: 1 })
    // There is nothing to pay for any more.
    const again = await send(body, { name: 'mug.jpg', way: 'two', md5: hash('md5', body) })
    expect([again.granted.json.way, again.put.status]).toEqual(['plain', 200])
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('method two makes the preset that is asked for', async () => {
    const body = await photo()
    await send(body, { name: 'mug.jpg', way: 'two', md5: hash('md5', body), preset: 'card' })
    await cloud.scf.idle()
    expect(cloud.cos.bill().map(({ rule }) => rule)).toEqual([expect.stringContaining('padding-layout=20x10')])
  })

  it('a plain URL pays nothing, whatever is added to it', async () => {
    const body = await photo()
    const granted = await ask('POST', '/api/uploads', {
      name: 'mug.jpg',
      type: 'image/jpeg',
      size: body.length,
      way: 'plain',
    })
    const { url, headers } = granted.json
    expect(url).toContain(PAGE.secretId)
    const operations = { rules: [{ fileid: '/uploads/x.png', rule: 'ci-process=GoodsMatting' }] }
    for (const [more, added] of [
      [{ 'pic-operations': JSON.stringify(operations) }, ''],
      [{ 'x-cos-copy-source': 'photos-1250000000.cos.ap-guangzhou.myqcloud.com/uploads/other.jpg' }, ''],
    ] as const) {
      const put = await fetch(url + added, {
        method: 'PUT',
        headers: { ...headers, ...more },
        body: new Uint8Array(body),
      })
      expect(put.status).toBe(403)
    }
    expect((await fetch(url, { method: 'PUT', headers, body: new Uint8Array(body.length + 1) })).status).toBe(403)
    expect([cloud.cos.bill(), await cloud.keys('uploads/')]).toEqual([[], []])
  })

  it('overwrites another photo only if it is to, even one that came after the URL', async () => {
    const [red, blue] = [await photo(), await photo('#2030b0')]
    const asked = { name: 'mug.jpg', type: 'image/jpeg', size: blue.length, way: 'plain' }
    const early = await ask('POST', '/api/uploads', asked)
    await cloud.upload('uploads/mug.jpg', red)
    const put = await fetch(early.json.url, { method: 'PUT', headers: early.json.headers, body: new Uint8Array(blue) })
    expect(put.status).toBe(409)
    const late = await ask('POST', '/api/uploads', asked)
    expect([late.status, late.json.error]).toEqual([409, expect.stringContaining('uploads/mug.jpg')])
    expect(await cloud.bytes('uploads/mug.jpg')).toEqual(red)
    expect((await send(blue, { ...asked, replace: true })).put.status).toBe(200)
    expect(await cloud.bytes('uploads/mug.jpg')).toEqual(blue)
    await cloud.scf.idle()
  })

  it('from the page alone where the rules of the bucket name others', async () => {
    const rules =
      '<CORSConfiguration><CORSRule><AllowedOrigin>https://shop.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>'
    const settings = (method: string, body = '') => {
      const signed = authorization({ method, path: '/', id: 'local-id', secret: 'local-secret', query: { cors: '' } })
      return fetch(`${cloud.cosUrl}/?cors`, {
        method,
        headers: { authorization: signed, ...(body && { 'content-md5': hash('md5', body, 'base64') }) },
        ...(body && { body }),
      })
    }
    expect((await settings('PUT', rules)).status).toBe(200)
    onTestFinished(async () => void (await settings('DELETE')))
    const preflight = (origin: string) =>
      fetch(`${cloud.cosUrl}/uploads/mug.jpg`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type' },
      })
    const page = await preflight(cloud.controlUrl)
    expect([page.status, page.headers.get('access-control-allow-origin')]).toEqual([200, cloud.controlUrl])
    for (const origin of [cloud.imageUrl, 'https://shop.example']) expect((await preflight(origin)).status).toBe(403)
  })

  it.each<[string, object]>([
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(2_000) }],
    ['name', { name: 7 }],
    ['type', { type: 'image/jpeg\r\nx: y' }],
    ['size', { size: 0 }],
    ['size', { size: 1.5 }],
    ['way', { way: 'three' }],
    ['md5', { way: 'two' }],
    ['md5', { md5: 'x' }],
    ['preset', { way: 'two', md5: '0'.repeat(32), preset: 'nosuch' }],
  ])('are refused by name: %s %j', async (name, wrong) => {
    const { status, json } = await ask('POST', '/api/uploads', {
      name: 'a.jpg',
      type: 'image/jpeg',
      size: 5,
      way: 'plain',
      ...wrong,
    })
    expect([status, json.error]).toEqual([400, expect.stringContaining(`${name}: `)])
  })

  it('have keys that are keys, whatever the file is called', async () => {
    const key = async (name: string) =>
      (await ask('POST', '/api/uploads', { name, type: 'image/png', size: 5, way: 'plain' })).json.key
    expect(await key('../../etc/passwd')).toBe('uploads/passwd')
    expect(await key('..')).toBe('uploads/photo')
    expect(await key('杯子 100%.jpg')).toBe('uploads/杯子 100%.jpg')
    const long = await key(`${'杯'.repeat(400)}.jpg`)
    expect([Buffer.byteLength(long) <= 850, long.endsWith('杯.jpg')]).toEqual([true, true])
  })
})

describe('photos', () => {
  it('are listed in pages, each with the cutouts of its version, and nothing else is', async () => {
    for (const key of ['uploads/b.jpg', 'uploads/a.jpg', NASTY]) await cloud.upload(key, await photo())
    await cloud.bucket.put('uploads/readme.txt', 'no photo', { type: 'text/plain' })
    await cloud.bucket.put('other/c.jpg', await photo(), { type: 'image/jpeg' })
    await cloud.image('/card/uploads/a.jpg')
    await cloud.image('/tile/uploads/a.jpg')
    await cloud.scf.idle()
    const asked = cloud.cos.requests().length
    const first = (await ask('GET', '/api/photos?limit=2')).json
    expect(first.photos.map(({ key }: Told['data']) => key)).toEqual([NASTY, 'uploads/a.jpg'])
    expect(first.after).toBe('uploads/a.jpg')
    const second = (await ask('GET', `/api/photos${query({ after: first.after, limit: '2' })}`)).json
    expect(second.photos.map(({ key }: Told['data']) => key)).toEqual(['uploads/b.jpg'])
    expect(second.after).toBeUndefined()
    const [, a] = first.photos
    expect((await one('uploads/a.jpg')).photo).toEqual(a)
    expect(a).toMatchObject({ type: 'image/jpeg', size: (await photo()).length, etag: hash('md5', await photo()) })
    expect(a.cutouts.map(({ layout, key }: Told['data']) => [layout, key])).toEqual([
      ['c1-p20x10', `cutouts/uploads/a.jpg/${a.etag}-c1-p20x10.png`],
      ['plain', `cutouts/uploads/a.jpg/${a.etag}-plain.png`],
    ])
    // To look at them makes no request that anybody would see.
    expect(cloud.cos.requests()).toHaveLength(asked)
    expect(Buffer.from(await (await fetch(a.photoUrl)).arrayBuffer())).toEqual(await photo())
    expect((await fetch(first.photos[0].small)).headers.get('content-type')).toBe('image/jpeg')
  })

  it('of another version have the cutouts of that one alone', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    const blue = await photo('#2030b0')
    await cloud.bucket.put('uploads/a.jpg', blue, { type: 'image/jpeg' })
    // Its ETag begins with the same sixteen digits, as two photos can be made to.
    const like = `cutouts/uploads/a.jpg/${hash('md5', blue).slice(0, 16)}${'0'.repeat(16)}-plain.png`
    await cloud.bucket.put(like, 'x', { type: 'image/png' })
    expect((await one('uploads/a.jpg')).photo.cutouts).toEqual([])
  })

  it('are deleted with their cutouts, as ON_DELETE says; and nothing else is', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    for (const key of ['uploads/b.jpg', (await cloud.keys('cutouts/'))[0] ?? '', '.matting/', '']) {
      const { status } = await ask('DELETE', `/api/photos${query({ key })}`)
      expect(status).toBe(404)
    }
    expect((await ask('DELETE', `/api/photos${query({ key: 'uploads/a.jpg' })}`)).status).toBe(200)
    await cloud.scf.idle()
    expect([await cloud.keys('uploads/'), await cloud.keys('cutouts/')]).toEqual([[], []])
    expect(await one('uploads/a.jpg')).toEqual({})
  })
})

describe('GET /api/image', () => {
  const image = async (text: string, key = 'uploads/a.jpg') =>
    (await ask('GET', `/api/image${query({ key, text })}`)).json
  it('gives a URL that works, and an element with the shape of the picture', async () => {
    await cloud.upload(NASTY, await photo())
    const { url, img, widths } = await image('plain,width=40,format=webp', NASTY)
    expect(url).toBe(`${cloud.imageUrl}/plain%2Cwidth%3D40%2Cformat%3Dwebp/${NASTY.split('/').map(encode).join('/')}`)
    expect((await fetch(url)).headers.get('content-type')).toBe('image/webp')
    expect(widths).toEqual([40, 80])
    expect(img).toContain('/plain%2Cformat%3Dwebp%2Cwidth%3D80/')
    expect(img).toContain('width="40" height="33"')
    expect(img).not.toContain('<img src=x')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it.each(['plain,width=40,trim=1', 'plain,width=40,trim=1,margin=8', 'plain,width=30,trim=1,margin=40'])(
    'says the size that %s has',
    async (text) => {
      await cloud.upload('uploads/a.jpg', await photo())
      const { url } = await image(text)
      const { width, height } = await sharp(Buffer.from(await (await fetch(url)).arrayBuffer())).metadata()
      expect((await image(text)).img).toContain(`width="${width}" height="${height}"`)
    },
  )

  it('has the widths of a preset, a size that is fixed, or nothing at all', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    expect((await image('tile')).widths).toEqual([160, 480])
    expect((await image('plain')).widths).toEqual([200, 400, 800])
    const fixed = await image('plain,width=40,height=30,fit=cover')
    expect([fixed.widths, fixed.img.includes('srcset'), fixed.img.includes('width="40" height="30"')]).toEqual([
      [],
      false,
      true,
    ])
    for (const text of ['nosuch', 'plain,width=x', 'padding-layout=x']) {
      const { status } = await ask('GET', `/api/image${query({ key: 'uploads/a.jpg', text })}`)
      expect([text, status]).toEqual([text, 400])
    }
  })

  it('is signed where ACCESS=signed, and the key that signs is not told', async () => {
    const signed = await startTestCloud({ environment: { ACCESS: 'signed', URL_KEYS: `shop:${URL_KEY}` } })
    onTestFinished(() => signed.close())
    await signed.upload('uploads/a.jpg', await photo())
    const answer = await fetch(`${signed.controlUrl}/api/image?key=uploads/a.jpg&text=plain`)
    const text = await answer.text()
    const { url } = JSON.parse(text)
    expect([text.includes(URL_KEY), new URL(url).searchParams.get('kid')]).toEqual([false, 'shop'])
    expect((await fetch(url)).headers.get('content-type')).toBe('image/png')
    expect((await fetch(url.replace('a.jpg', 'b.jpg'))).status).toBe(403)
    // Also where the clock was moved, and for who puts a photo without a page.
    signed.clock.advance(2 * 86_400_000)
    const put = await fetch(`${signed.controlUrl}/uploads/c.jpg`, {
      method: 'PUT',
      body: new Uint8Array(await photo()),
    })
    const [, told = ''] = /cutout: (\S+)/.exec(await put.text()) ?? []
    expect((await fetch(told)).status).toBe(200)
  })
})

describe('the story of a photo', () => {
  const key = 'uploads/mug.jpg'
  it('that waits', async () => {
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 3_600_000 }])
    await cloud.bucket.put(key, await photo(), { type: 'image/jpeg' })
    expect(await states(key)).toEqual({
      uploaded: 'done',
      event: 'waiting',
      look: 'waiting',
      claim: 'missing',
      paid: 'missing',
      stored: 'missing',
      announced: 'missing',
      shown: 'missing',
    })
    expect((await story(key)).sentence).toBe('It has none yet: its event is waiting, or being handled.')
  })

  it('that was cut out, announced, and shown', async () => {
    await cloud.upload(key, await photo())
    expect(await states(key)).toEqual({
      uploaded: 'done',
      event: 'done',
      look: 'done',
      claim: 'done',
      paid: 'done',
      stored: 'done',
      announced: 'done',
      shown: 'missing',
    })
    await fetch(`${cloud.imageUrl}/plain/${key}`)
    const told = await story(key)
    expect(told.sentence).toBe('It has its cutout: plain.')
    expect(told.steps.at(-1)).toMatchObject({ step: 'shown', state: 'done', text: 'A cutout was fetched, once.' })
    expect(told.steps[4].text).toBe('1 paid, the last by method three (stored).')
  })

  it('says what the command explain says, and makes no request', async () => {
    const env = cloud.scf.serverless().functions[0]?.environment ?? {}
    const time = { now: cloud.clock.now, random: Math.random, uuid: () => 'x', deadline: Number.POSITIVE_INFINITY }
    const invocation = createInvocation(readConfig(env), { credentials: CREDENTIALS, ...time })
    await cloud.upload(key, await photo())
    await cloud.upload('uploads/text.jpg', Buffer.from('no picture at all'))
    for (const name of [key, 'uploads/text.jpg']) {
      const { why, advice } = await explain(invocation, name)
      const before = cloud.cos.requests().length
      expect((await story(name)).sentence).toBe([why, advice].filter(Boolean).join(' '))
      expect(cloud.cos.requests()).toHaveLength(before)
    }
  })

  it('that its own metadata keep from being cut out', async () => {
    const headers = { 'x-cos-meta-matting': 'off', 'content-type': 'image/jpeg' }
    const seconds = Math.floor(cloud.clock.now() / 1000)
    const url = cloud.bucket.presign(key, seconds - 60, seconds + 60, { method: 'PUT', headers })
    expect((await fetch(url, { method: 'PUT', headers, body: new Uint8Array(await photo()) })).status).toBe(200)
    await cloud.scf.idle()
    expect(await states(key)).toMatchObject({ event: 'done', look: 'failed', claim: 'missing', paid: 'missing' })
    expect((await story(key)).steps[2].text).toContain('skipped it: off by its metadata')
  })

  it('that cannot be cut out', async () => {
    await cloud.upload(key, Buffer.from('no picture at all'))
    expect(await states(key)).toMatchObject({
      event: 'done',
      look: 'done',
      paid: 'failed',
      stored: 'failed',
      announced: 'done',
    })
    expect((await story(key)).sentence).toMatch(
      /^It has none because of not-an-image: The photo cannot be read as an image\. Store it again;/,
    )
    const { mark } = (await one(key)).photo
    expect(mark).toEqual({ code: 'not-an-image', message: 'The photo cannot be read as an image.' })
  })

  it('whose event was given up', async () => {
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await cloud.upload(key, await photo())
    expect(await states(key)).toMatchObject({ event: 'failed', claim: 'missing', paid: 'missing', stored: 'missing' })
    expect((await story(key)).sentence).toMatch(
      /^It has none because its event was given up: The vendor refused the call/,
    )
  })

  it('whose answer was lost, and which was paid once all the same', async () => {
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'lose-answer', times: 1 }])
    await cloud.upload(key, await photo())
    expect(await states(key)).toMatchObject({ paid: 'done', stored: 'done' })
    expect((await story(key)).steps[4].text).toBe('1 paid, the last by method three (lost); 1 without an answer.')
  })

  it('is empty for what is no photo', async () => {
    for (const other of ['uploads/none.jpg', 'cutouts/x.png', ''])
      expect((await ask('GET', `/api/story${query({ key: other })}`)).json).toEqual({})
  })
})

describe('GET /api/live', () => {
  it('tells everything in order: the request, the function at work, the paid call, the news, the meter', async () => {
    const live = await listen()
    await cloud.upload(NASTY, await photo())
    await expect.poll(() => live.of('meter').at(-1)).toMatchObject({ paid: 1 })
    const ids = live.told.map(({ id }) => id)
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    const place = (which: (one: Told) => boolean) => live.told.findIndex(which)
    const order = [
      place(({ type, data }) => type === 'request' && data.operation === 'PutObject' && data.who === 'other'),
      place(({ type, data }) => type === 'invocation' && data.outcome === 'running'),
      place(({ type, data }) => type === 'request' && data.paid === 1 && data.who === 'function'),
      place(({ type }) => type === 'announced'),
      place(({ type, data }) => type === 'invocation' && data.outcome === 'ok'),
    ]
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(order[0]).toBeGreaterThanOrEqual(0)
    expect(live.of('announced')).toEqual([
      { type: 'cutout.created', key: NASTY, id: expect.stringMatching(/^[\da-f]{32}$/) },
    ])
    expect(live.of('invocation').at(-1)).toMatchObject({ function: 'upload', key: NASTY, paid: 1, retry: 0 })
    expect(live.of('photo')).toContainEqual({ key: NASTY })
  })

  it('a raw signed request from outside changes the meter', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const live = await listen()
    const path = '/uploads/mug.jpg'
    const rules = JSON.stringify({ rules: [{ fileid: '/try/mug.png', rule: 'ci-process=GoodsMatting' }] })
    const signed = authorization({ method: 'POST', path, id: 'local-id', secret: 'local-secret' })
    const answer = await fetch(`${cloud.cosUrl}${path}?image_process`, {
      method: 'POST',
      headers: { authorization: signed, 'pic-operations': rules },
    })
    expect(answer.status).toBe(200)
    await expect.poll(() => live.of('meter').at(-1)).toMatchObject({ paid: 2 })
    expect(live.of('request')).toContainEqual(
      expect.objectContaining({ method: 'POST', key: 'uploads/mug.jpg', status: 200, who: 'other', paid: 1 }),
    )
    expect((await ask('GET', '/api/meter')).json).toMatchObject({ paid: 2 })
  })

  it('a refusal is told with its code, and a page by its name', async () => {
    const live = await listen()
    await fetch(`${cloud.cosUrl}/uploads/x.jpg`, { headers: { origin: cloud.controlUrl } })
    await fetch(`${cloud.cosUrl}/uploads/x.jpg`, { headers: { 'sec-fetch-site': 'same-site' } })
    await expect.poll(() => live.of('request')).toHaveLength(2)
    for (const one of live.of('request'))
      expect(one).toMatchObject({ status: 403, who: 'page', paid: 0, code: 'AccessDenied' })
  })

  it('a cutout that is deleted by hand is a change of its photo', async () => {
    await cloud.upload(NASTY, await photo())
    const [cutout = ''] = await cloud.keys('cutouts/')
    const live = await listen()
    await cloud.bucket.delete(cutout)
    await expect.poll(() => live.of('photo')).toEqual([{ key: NASTY }])
  })

  it('hits count as saved', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const live = await listen()
    for (let i = 0; i < 3; i++) await cloud.image('/plain/uploads/mug.jpg')
    await expect.poll(() => live.of('meter').at(-1)).toMatchObject({ paid: 1, saved: 3 })
    await ask('POST', '/api/reset')
    expect((await ask('GET', '/api/meter')).json).toMatchObject({ paid: 0, saved: 0 })
  })

  it('a browser that comes back is told that it missed something', async () => {
    const live = await listen({ 'last-event-id': '0' })
    expect(live.of('missed')).toHaveLength(1)
    expect((await listen()).of('missed')).toHaveLength(0)
  })

  it('a reader that takes nothing is told later what it missed, and takes no memory meanwhile', async () => {
    const port = Number(new URL(cloud.controlUrl).port)
    const socket = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void socket.destroy())
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    socket.write(`GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
    await expect.poll(() => text).toContain('event: meter')
    socket.pause()
    const other = await listen()
    // More than both buffers of the socket hold, in requests that are refused before anything is done.
    const path = `/uploads/x.jpg?x=${'y'.repeat(50_000)}`
    for (let i = 0; i < 25; i++) await Promise.all(Array.from({ length: 10 }, () => fetch(cloud.cosUrl + path)))
    await expect.poll(() => other.of('request').length).toBeGreaterThanOrEqual(200)
    socket.resume()
    await expect.poll(() => text).toMatch(/event: missed\ndata: \{"events":[1-9]\d*\}/)
    expect(text.length).toBeLessThan(other.text().length / 1.2)
    expect(other.of('missed')).toEqual([])
  })

  it('computes nothing while nobody listens', async () => {
    const live = await listen()
    await cloud.bucket.head('uploads/')
    await expect.poll(() => live.of('request')).toHaveLength(1)
    const last = live.told.at(-1)?.id ?? 0
    live.end()
    await cloud.upload('uploads/mug.jpg', await photo())
    const again = await listen()
    // Ids are given only to what is told.
    expect(again.told[0]?.id ?? 0).toBeLessThan(last + 10)
  })
})

describe('GET /api/faults/presets', () => {
  it('names faults that can be set, and under each a cutout is paid for once', async () => {
    const { json } = await ask('GET', '/api/faults/presets')
    expect(json.map(({ name }: Told['data']) => name)).toEqual([
      'lost-answer',
      'slow-down',
      'slow-matting',
      'duplicate-events',
      'killed-instance',
    ])
    for (const { faults } of json) expect((await ask('PUT', '/api/faults', faults)).json).toHaveLength(faults.length)
  })
})
