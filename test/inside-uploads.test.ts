import { hash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { PAGE } from '../local/grant.ts'
import type { UploadGrant } from '../local/page/wire.ts'
import { photo, startForTest, type TestCloud } from './helpers/cloud.ts'
import { authorization } from './helpers/cos.ts'
import { createSpeaker, startInside } from './helpers/inside.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside({
    PRESETS: 'card: center-layout 1, padding-layout 20x10, tile: width 160|480, format webp',
  })
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, send, configure } = createSpeaker(() => cloud)

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
    expect([granted.json.way, granted.json.same, put.status]).toEqual(['two', false, 200])
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toMatchObject([{ method: 'upload', source: 'uploads/mug.jpg' }])
    await expect.poll(async () => (await ask('GET', '/api/meter')).json).toMatchObject({ paid: 1, saved: 1 })
    // There is nothing to pay for any more.
    const again = await send(body, { name: 'mug.jpg', way: 'two', md5: hash('md5', body) })
    expect([again.granted.json.way, again.granted.json.same, again.put.status]).toEqual(['plain', true, 200])
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('method two makes the preset that is asked for', async () => {
    const body = await photo()
    await send(body, { name: 'mug.jpg', way: 'two', md5: hash('md5', body), preset: 'card' })
    await cloud.scf.idle()
    expect(cloud.cos.bill().map(({ rule }) => rule)).toEqual([expect.stringContaining('padding-layout=20x10')])
  })

  it('method two becomes a plain PUT where the cutouts are in another bucket, and the trigger pays once', async () => {
    const other = await startForTest({ environment: { CUTOUT_BUCKET: 'cutouts-1250000000' } })
    const body = await photo()
    const { send } = createSpeaker(() => other)
    const { granted, put } = await send(body, { name: 'mug.jpg', way: 'two', md5: hash('md5', body) })
    expect([granted.json.way, put.status]).toEqual(['plain', 200])
    await other.scf.idle()
    expect(other.cos.bill()).toMatchObject([{ method: 'cloud', source: 'uploads/mug.jpg' }])
  })

  it('method two goes to the local cloud, though the function is told to use another host', async () => {
    configure({ COS_ENDPOINT: 'https://accelerated.invalid' })
    const body = await photo()
    const { granted } = await send(body, { name: 'mug.jpg', way: 'two', md5: hash('md5', body) })
    expect([granted.json.way, new URL(granted.json.url).origin]).toEqual(['two', cloud.cosUrl])
    expect(cloud.cos.bill()).toMatchObject([{ method: 'upload' }])
  })

  it('a plain URL pays nothing, whatever is added to it', async () => {
    const body = await photo()
    const granted = await ask<UploadGrant>('POST', '/api/uploads', {
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
    const early = await ask<UploadGrant>('POST', '/api/uploads', asked)
    await cloud.upload('uploads/mug.jpg', red)
    const put = await fetch(early.json.url, { method: 'PUT', headers: early.json.headers, body: new Uint8Array(blue) })
    expect(put.status).toBe(409)
    for (const replace of [undefined, false, 'false', 1]) {
      const late = await ask('POST', '/api/uploads', { ...asked, replace })
      expect([late.status, late.json.error]).toEqual([409, expect.stringContaining('uploads/mug.jpg')])
    }
    expect(await cloud.bytes('uploads/mug.jpg')).toEqual(red)
    expect((await send(blue, { ...asked, replace: true })).put.status).toBe(200)
    expect(await cloud.bytes('uploads/mug.jpg')).toEqual(blue)
    const free = await ask<UploadGrant>('POST', '/api/uploads', { ...asked, name: 'free.jpg', replace: true })
    expect(free.json.headers).not.toHaveProperty('x-cos-forbid-overwrite')
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
      (await ask<UploadGrant>('POST', '/api/uploads', { name, type: 'image/png', size: 5, way: 'plain' })).json.key
    expect(await key('../../etc/passwd')).toBe('uploads/passwd')
    expect(await key('..')).toBe('uploads/photo')
    expect(await key('杯子 100%.jpg')).toBe('uploads/杯子 100%.jpg')
    // Half of an emoji, which no URL can carry; and a name as macOS spells it, which would be another photo than the same elsewhere.
    expect(await key('\ud83d.jpg')).toBe('uploads/photo')
    expect(await key('caf\u0065\u0301.jpg')).toBe('uploads/caf\u00e9.jpg')
    const long = await key(`${'杯'.repeat(400)}.jpg`)
    expect([Buffer.byteLength(long) <= 850, long.endsWith('杯.jpg')]).toEqual([true, true])
  })
})
