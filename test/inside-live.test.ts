import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { photo, type TestCloud } from './helpers/cloud.ts'
import { authorization } from './helpers/cos.ts'
import { createSpeaker, NASTY, startInside, type Told } from './helpers/inside.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside()
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, listen } = createSpeaker(() => cloud)

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
