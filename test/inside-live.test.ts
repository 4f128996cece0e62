import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { held, looks, photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'
import { authorization } from './helpers/cos.ts'
import { createSpeaker, NASTY, startInside, type Told } from './helpers/inside.ts'

const KEY = 'uploads/mug.jpg'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside()
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, one, listen, deploy } = createSpeaker(() => cloud)

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
    // It was not refused.
    expect(live.of('request')[0]).not.toHaveProperty('code')
    expect((await ask('GET', '/api/meter')).json).toMatchObject({ paid: 2 })
  })

  it('a picture that is made small, and a cutout at download, change the meter though nothing is stored', async () => {
    await cloud.upload(KEY, await photo())
    const { small } = await one(KEY)
    const live = await listen()
    expect((await fetch(small)).status).toBe(200)
    await expect.poll(() => live.of('meter').at(-1)).toMatchObject({ paid: 1, processing: { calls: 1 } })
    const seconds = Math.floor(cloud.clock.now() / 1000)
    const url = cloud.bucket.presign(KEY, seconds - 60, seconds + 60, { query: { 'ci-process': 'GoodsMatting' } })
    expect((await fetch(url)).status).toBe(200)
    await expect.poll(() => live.of('meter').at(-1)).toMatchObject({ paid: 2, processing: { calls: 1 } })
  })

  it('a refusal is told with its code, and a page by its name', async () => {
    const live = await listen()
    await fetch(`${cloud.cosUrl}/uploads/x.jpg`, { headers: { origin: cloud.controlUrl } })
    await fetch(`${cloud.cosUrl}/uploads/x.jpg`, { headers: { 'sec-fetch-site': 'same-site' } })
    await expect.poll(() => live.of('request')).toHaveLength(2)
    for (const one of live.of('request'))
      expect(one).toMatchObject({ status: 403, who: 'page', paid: 0, code: 'AccessDenied' })
  })

  it('says why a function made nothing: what was thrown, what it noted, or why it skipped the photo', async () => {
    const live = await listen()
    const why = async () => {
      await cloud.scf.idle()
      await expect.poll(() => live.of('invocation').at(-1)?.outcome).not.toBe('running')
      return live.of('invocation').at(-1)?.why
    }
    await cloud.bucket.put(KEY, 'no picture', { type: 'image/jpeg' })
    expect(await why()).toBe('not-an-image: The photo cannot be read as an image.')
    await cloud.bucket.put('uploads/text.jpg', 'no picture', { type: 'text/plain' })
    expect(await why()).toBe('not an image by its type')
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await cloud.bucket.put(KEY, await photo(), { type: 'image/jpeg' })
    expect(await why()).toMatch(/^MattingError: The vendor refused the call/)
  })

  it('a cutout that is deleted by hand is a change of its photo', async () => {
    await cloud.upload(NASTY, await photo())
    const [cutout = ''] = await cloud.keys('cutouts/')
    const live = await listen()
    await cloud.bucket.delete(cutout)
    await expect.poll(() => live.of('photo')).toEqual([{ key: NASTY }])
    // It is told of once.
    await putQuietly(cloud, KEY, await photo())
    await expect.poll(() => live.of('photo')).toEqual([{ key: NASTY }, { key: KEY }])
  })

  it('hits count as saved', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const live = await listen()
    for (let i = 0; i < 3; i++) await cloud.image('/plain/uploads/mug.jpg')
    await expect.poll(() => live.of('meter').at(-1)).toMatchObject({ paid: 1, saved: 3 })
    await ask('POST', '/api/reset')
    expect((await ask('GET', '/api/meter')).json).toMatchObject({ paid: 0, saved: 0 })
  })

  it('a cutout that another request was paying for meanwhile counts as saved', async () => {
    await putQuietly(cloud, KEY, await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const first = cloud.image(`/plain/${KEY}`)
    await held(cloud)
    const second = cloud.image(`/plain/${KEY}`)
    await looks(cloud)
    cloud.faults.release()
    const answers = [await first, await second].map(({ headers }) => headers['x-matting'])
    expect(answers).toEqual(['made', 'joined'])
    await expect.poll(async () => (await ask('GET', '/api/meter')).json).toMatchObject({ paid: 1, saved: 1 })
  })

  it('a photo whose event was given up before any function ran is told of: nothing is under way any more', async () => {
    deploy(() => ({ instances: 0, age: 0 }))
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 3_600_000 }])
    await cloud.bucket.put(KEY, await photo(), { type: 'image/jpeg' })
    const live = await listen()
    expect((await one(KEY)).waiting).toBe(true)
    cloud.clock.advance(3_600_000)
    await expect.poll(() => live.of('photo')).toEqual([{ key: KEY }])
    expect([live.of('invocation'), (await one(KEY)).waiting]).toEqual([[], false])
  })

  it('a browser that comes back is told that it missed something, and never of less than nothing', async () => {
    const live = await listen({ 'last-event-id': '0' })
    expect(live.of('missed')).toHaveLength(1)
    expect((await listen()).of('missed')).toHaveLength(0)
    // Of before the local cloud was started again, or of anybody.
    for (const id of ['999999999', 'x']) {
      const again = await listen({ 'last-event-id': id })
      expect(again.of('missed')).toEqual([{ events: 0 }])
    }
  })

  it('the 33rd reader is refused, and the 32 others go on', async () => {
    const own = await startForTest()
    const { listen } = createSpeaker(() => own)
    const readers = await Promise.all(Array.from({ length: 32 }, () => listen()))
    const refused = await fetch(`${own.controlUrl}/api/live`)
    expect(refused.status).toBe(503)
    expect(await refused.json()).toEqual({ error: 'Too many pages are open.' })
    await own.bucket.head(KEY)
    for (const { of } of readers) await expect.poll(() => of('request')).toHaveLength(1)
    // Whoever leaves makes room.
    readers[0]?.end()
    await expect
      .poll(() =>
        listen().then(
          () => 'let in',
          () => 'refused',
        ),
      )
      .toBe('let in')
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
    // It is told once, and from then on of everything.
    for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 3 }, () => fetch(cloud.cosUrl + path)))
    await cloud.bucket.head('uploads/last')
    await expect.poll(() => text).toContain('"key":"uploads/last"')
    expect(text.match(/event: missed/g)).toHaveLength(1)
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
