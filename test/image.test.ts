import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codes } from '../lib/errors.ts'
import { look, photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud.close())

/** Its event is lost, so that the image function is the one that pays. */
async function putQuietly(key: string, body: Buffer) {
  cloud.faults.set([{ on: 'Event', kind: 'drop' }])
  await cloud.bucket.put(key, body, { type: 'image/jpeg' })
  cloud.faults.set([])
}

describe('GET /<layout>/<key>', () => {
  beforeEach(() => cloud.reset())

  it('redirects to a transparent PNG of the product, paid once for fifty requests', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const locations = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const { status, headers } = await cloud.image('/plain/uploads/mug.jpg')
      expect(status).toBe(302)
      locations.add(headers.location ?? '')
    }
    // Within a window everybody gets the same URL, so that caches can keep the picture.
    expect(locations.size).toBe(1)
    const answer = await fetch([...locations][0] ?? '')
    expect(answer.headers.get('content-type')).toBe('image/png')
    expect(await look(Buffer.from(await answer.arrayBuffer()))).toEqual({
      format: 'png',
      width: 240,
      height: 200,
      alpha: [0, 255],
    })
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('makes the cutout if nobody did, and shares it with the trigger and with every spelling of the layout', async () => {
    await putQuietly('uploads/mug.jpg', await photo())
    const spellings = [
      '/center-layout=1,padding-layout=20x10',
      '/padding-layout=20x10,center-layout=1',
      '/center-layout%3D1%2Cpadding-layout=020x10',
      '/card',
    ]
    for (const layout of spellings) expect((await cloud.image(`${layout}/uploads/mug.jpg`)).status).toBe(302)
    await cloud.image('/plain/uploads/mug.jpg')
    expect(cloud.cos.bill().map(({ rule }) => rule)).toEqual([
      'ci-process=GoodsMatting&center-layout=1&padding-layout=20x10',
      'ci-process=GoodsMatting',
    ])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.cos.bill()).toHaveLength(2)
    const [padded] = (await cloud.keys('cutouts/')).filter((key) => key.includes('c1-p20x10'))
    expect(await look(await cloud.bytes(padded ?? ''))).toMatchObject({
      width: 280,
      height: 220,
    })
  })

  it('follows the photo when it changes', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const before = (await cloud.image('/plain/uploads/mug.jpg')).headers.location
    await putQuietly('uploads/mug.jpg', await photo('#2040b0'))
    const after = (await cloud.image('/plain/uploads/mug.jpg')).headers.location
    expect(new URL(after ?? '').pathname).not.toBe(new URL(before ?? '').pathname)
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('HEAD never pays', async () => {
    await putQuietly('uploads/mug.jpg', await photo())
    expect(await cloud.image('/plain/uploads/mug.jpg', { method: 'HEAD' })).toMatchObject({ status: 404, body: '' })
    expect(cloud.cos.bill()).toEqual([])
    const get = await cloud.image('/plain/uploads/mug.jpg')
    const head = await cloud.image('/plain/uploads/mug.jpg', { method: 'HEAD' })
    expect(head).toMatchObject({ status: 302, body: '' })
    expect(head.headers.etag).toBe(get.headers.etag)
  })

  it('promise 6: is cacheable no longer than its signature lives, and revalidates by ETag', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const { headers } = await cloud.image('/plain/uploads/mug.jpg')
    const maxAge = Number(/^public, max-age=(\d+)$/.exec(headers['cache-control'] ?? '')?.[1])
    const end = Number(new URL(headers.location ?? '').searchParams.get('q-key-time')?.split(';')[1])
    expect(maxAge).toBeGreaterThan(0)
    expect(Date.now() / 1000 + maxAge).toBeLessThanOrEqual(end)
    for (const known of [headers.etag, `W/${headers.etag}`, `"x", ${headers.etag}`]) {
      const again = await cloud.image('/plain/uploads/mug.jpg', { headers: { 'if-none-match': known ?? '' } })
      expect(again).toMatchObject({ status: 304, body: '' })
      expect(again.headers['cache-control']).toBe(headers['cache-control'])
    }
    expect((await cloud.image('/plain/uploads/mug.jpg', { headers: { 'if-none-match': '"x"' } })).status).toBe(302)
  })

  it.each([
    ['GET', '/', 400, 'bad-request'],
    ['GET', '/plain', 400, 'bad-request'],
    ['GET', '/plain/', 400, 'bad-request'],
    ['GET', '//uploads/mug.jpg', 400, 'bad-request'],
    ['GET', '/nope/uploads/mug.jpg', 400, 'bad-layout'],
    ['GET', '/center-layout=2/uploads/mug.jpg', 400, 'bad-layout'],
    ['GET', '/plain/uploads/nope.jpg', 404, 'not-found'],
    ['GET', `/plain/uploads/${'%E6%9D%AF'.repeat(98)}.jpg`, 404, 'not-found'],
    ['GET', `/plain/uploads/${'k'.repeat(900)}`, 404, 'not-found'],
    ['GET', '/plain/other/mug.jpg', 404, 'not-found'],
    ['GET', '/plain/cutouts/uploads/mug.jpg/0123456789abcdef-plain.png', 404, 'not-found'],
    ['GET', '/plain/uploads/x/0123456789abcdef-plain.png', 404, 'not-found'],
    ['POST', '/plain/uploads/mug.jpg', 405, 'method-refused'],
    ['DELETE', '/plain/uploads/mug.jpg', 405, 'method-refused'],
    ['GET', '/plain/uploads/fake.jpg', 422, 'not-an-image'],
  ])('promise 3: %s %s is %i %s, not cached and not billed', async (method, path, status, code) => {
    await putQuietly('uploads/fake.jpg', Buffer.from('not an image'))
    const answer = await cloud.image(path, { method })
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(JSON.parse(answer.body)).toEqual({ title: expect.any(String), status, code })
    expect(cloud.cos.bill()).toEqual([])
  })

  it('asks for a retry when COS does not answer, or CI is busy for longer than there is time', async () => {
    await putQuietly('uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'HeadObject', kind: 'error' }])
    const answer = await cloud.image('/plain/uploads/mug.jpg')
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '2' } })
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'unavailable' })
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'slow-down' }])
    expect(JSON.parse((await cloud.image('/plain/uploads/mug.jpg')).body)).toMatchObject({ code: 'busy', status: 503 })
    expect(cloud.cos.bill()).toEqual([])
    // Nothing was bought, so nobody has to wait for the claim's time to pass.
    cloud.faults.set([])
    expect((await cloud.image('/plain/uploads/mug.jpg')).status).toBe(302)
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

it('promise 3: no path makes a 5xx or costs anything where there is no photo', async () => {
  await cloud.reset()
  const piece = fc.string({
    unit: fc.constantFrom(
      ...'/%.=,x1250aA-_~+&?#\\"\'',
      'plain',
      'uploads/',
      'center-layout=',
      '%00',
      '%zz',
      '%e7%ba%a2',
      '%2e%2e/',
    ),
  })
  await fc.assert(
    fc.asyncProperty(piece, fc.constantFrom('GET', 'HEAD'), async (path, method) => {
      const { status, headers } = await cloud.image(`/${path}`, { method })
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
      expect(headers['cache-control']).toBe('no-store')
    }),
    { numRuns: 300 },
  )
  expect(cloud.cos.bill()).toEqual([])
})

describe('with other settings', () => {
  it('DELIVERY_URL stands in front of the cutout', async () => {
    const cloud = await startTestCloud({ environment: { DELIVERY_URL: 'https://cdn.example.com', REDIRECT_TTL: '60' } })
    try {
      await cloud.upload('uploads/a b.jpg', await photo())
      const { headers } = await cloud.image('/plain/uploads/a%20b.jpg')
      expect(headers.location).toMatch(
        /^https:\/\/cdn\.example\.com\/cutouts\/uploads\/a_20b\.jpg\/[0-9a-f]{16}-plain\.png$/,
      )
      expect(headers['cache-control']).toBe('public, max-age=60')
    } finally {
      await cloud.close()
    }
  })

  it('ACCESS=presets refuses ad-hoc layouts, MAX_SOURCE_BYTES large photos; both without paying', async () => {
    const cloud = await startTestCloud({ environment: { ACCESS: 'presets', MAX_SOURCE_BYTES: '1000' } })
    try {
      await cloud.upload('uploads/mug.jpg', await photo())
      expect(JSON.parse((await cloud.image('/center-layout=1/uploads/mug.jpg')).body)).toMatchObject({
        status: 403,
        code: 'layout-refused',
      })
      expect(JSON.parse((await cloud.image('/plain/uploads/mug.jpg')).body)).toMatchObject({
        status: 422,
        code: 'too-large',
      })
      expect(cloud.cos.bill()).toEqual([])
    } finally {
      await cloud.close()
    }
  })

  it('a wrong configuration is a 500 that names it, and loses no event', async () => {
    const cloud = await startTestCloud({ environment: { REDIRECT_TTL: 'soon' } })
    try {
      await cloud.upload('uploads/mug.jpg', await photo())
      expect(cloud.scf.deadLetters()).toHaveLength(1)
      const { status, body } = await cloud.image('/plain/uploads/mug.jpg')
      expect(status).toBe(500)
      expect(JSON.parse(body)).toMatchObject({ code: 'misconfigured', title: expect.stringContaining('REDIRECT_TTL') })
    } finally {
      await cloud.close()
    }
  })
})

it('every code has a status that fits it', () => {
  for (const [code, { status, retryable }] of codes) {
    expect(code).toMatch(/^[a-z-]+$/)
    if (status < 500) expect(retryable).toBe(status === 429)
  }
})
