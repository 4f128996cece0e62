import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startReceiver } from '../local/receiver.ts'
import { photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'

const SECRET = `whsec_${Buffer.alloc(24, 'local-secret').toString('base64')}`

/** A cloud that tells a receiver, which verifies, what became of its photos. */
async function withReceiver(environment: Record<string, string> = {}, options = {}) {
  const lines: string[] = []
  const receiver = await startReceiver({ port: 0, secret: SECRET, print: (line) => lines.push(line) })
  onTestFinished(() => receiver.close())
  const cloud = await startForTest({
    ...options,
    environment: { EVENTS_URL: receiver.url, EVENTS_SECRET: SECRET, ...environment },
  })
  return { cloud, lines, events: () => receiver.events().map(Object) }
}

const etagOf = async (cloud: TestCloud, key: string) => (await cloud.bucket.head(key))?.etag

describe('what became of a photo is announced', () => {
  it('made: one event for each layout, with the same id when the event comes again, and paid once', async () => {
    const { cloud, events, lines } = await withReceiver({ ON_UPLOAD: 'uploads/=plain,card' })
    await cloud.upload('uploads/mug.jpg', await photo())
    const [plain = '', card = ''] = (await cloud.keys('cutouts/')).sort().reverse()
    const source = { bucket: 'photos-1250000000', key: 'uploads/mug.jpg', etag: await etagOf(cloud, 'uploads/mug.jpg') }
    const told = events().sort((a, b) => (a.data.layout < b.data.layout ? 1 : -1))
    expect(told).toMatchObject([
      {
        type: 'cutout.created',
        subject: 'uploads/mug.jpg',
        data: {
          source,
          layout: 'plain',
          cutout: { key: plain, size: (await cloud.bytes(plain)).length, url: `${cloud.cosUrl}/${plain}` },
        },
      },
      { type: 'cutout.created', data: { source, layout: 'c1-p20x10', cutout: { key: card } } },
    ])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(events()).toHaveLength(4)
    expect(new Set(events().map(({ id }) => id)).size).toBe(2)
    expect(lines.filter((line) => line.includes('again'))).toHaveLength(2)
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('with the address that pictures are delivered from, and the bucket that they are in', async () => {
    const { cloud, events } = await withReceiver({
      DELIVERY_URL: 'https://cdn.example.com',
      CUTOUT_BUCKET: 'cutouts-1250000000',
    })
    await cloud.upload('uploads/mug.jpg', await photo())
    const [{ data }] = events()
    expect(data.cutout).toMatchObject({
      bucket: 'cutouts-1250000000',
      url: `https://cdn.example.com/${data.cutout.key}`,
    })
  })

  it('made in part: what there is, before the limit ends the rest', async () => {
    const presets = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, i) => `${name}=padding-layout=${i + 1}x1`).join('; ')
    const { cloud, events } = await withReceiver({
      PRESETS: presets,
      ON_UPLOAD: 'uploads/=a,b,c,d,e,f',
      DAILY_LIMIT: '5',
    })
    await cloud.upload('uploads/mug.jpg', await photo())
    const told = events().map(({ type, data }) => data.layout ?? type)
    expect(new Set(told)).toEqual(new Set(['p1x1', 'p2x1', 'p3x1', 'p4x1', 'p5x1', 'cutout.deferred']))
    expect(cloud.cos.bill()).toHaveLength(5)
  })

  it('not made, for good: once, and acknowledged', async () => {
    const { cloud, events } = await withReceiver({ MAX_SOURCE_BYTES: '20000' })
    const wall = await sharp({ create: { width: 50, height: 50, channels: 3, background: '#eee' } })
      .jpeg()
      .toBuffer()
    await cloud.upload('uploads/fake.jpg', Buffer.from('no image'))
    await cloud.upload('uploads/wall.jpg', wall)
    await cloud.upload('uploads/large.jpg', Buffer.concat([await photo(), Buffer.alloc(20_000)]))
    expect(events().map(({ type, data }) => [type, data.source.key, data.code, data.retryable])).toEqual([
      ['cutout.failed', 'uploads/fake.jpg', 'not-an-image', false],
      ['cutout.failed', 'uploads/wall.jpg', 'no-product', false],
      ['cutout.failed', 'uploads/large.jpg', 'too-large', false],
    ])
    expect(cloud.scf.deadLetters()).toEqual([])
  })

  it('deferred: by order, and in the end a dead letter; what a retry mends is nobody’s business', async () => {
    const { cloud, events } = await withReceiver({ DAILY_LIMIT: '0' })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(events().map(({ type, data }) => [type, data.code, data.retryable])).toEqual(
      Array(3).fill(['cutout.deferred', 'limit-reached', true]),
    )
    expect(new Set(events().map(({ id }) => id)).size).toBe(1)
    expect(cloud.scf.deadLetters()).toHaveLength(1)
    cloud.faults.set([{ on: 'HeadObject', kind: 'error' }])
    await cloud.upload('uploads/b.jpg', await photo())
    expect(events()).toHaveLength(3)
    expect(cloud.scf.deadLetters()).toHaveLength(2)
  })

  it('skipped: only if that is asked for', async () => {
    const quiet = await withReceiver()
    await quiet.cloud.upload('uploads/notes.txt', Buffer.from(''))
    expect(quiet.events()).toEqual([])
    const { cloud, events } = await withReceiver({ EVENTS: 'source.skipped' })
    await cloud.upload('uploads/notes.txt', Buffer.from(''))
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(events()).toMatchObject([
      { type: 'source.skipped', data: { source: { key: 'uploads/notes.txt' }, why: 'empty' } },
    ])
  })
})

describe('a receiver in trouble', () => {
  it.each([
    ['refuses', [400], 2],
    ['is down for a moment', [503, 500], 1],
    ['takes it, and its answer is lost', [0], 1],
  ])('that %s: nothing is lost, and nothing paid twice', async (_, troubles, runs) => {
    const ids: unknown[] = []
    const server = createServer((request, response) => {
      ids.push(request.headers['webhook-id'])
      const status = troubles[ids.length - 1]
      request
        .resume()
        .on('end', () => (status === 0 ? request.socket.destroy() : response.writeHead(status ?? 204).end()))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close().closeAllConnections())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=hush`
    const cloud = await startForTest({ environment: { EVENTS_URL: url, EVENTS_SECRET: SECRET } })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(ids).toHaveLength(troubles.length + 1)
    expect(new Set(ids).size).toBe(1)
    expect(cloud.scf.invocations()).toHaveLength(runs)
    expect(cloud.cos.bill()).toHaveLength(1)
    expect(cloud.scf.deadLetters()).toEqual([])
    expect(
      cloud.scf
        .invocations()
        .flatMap(({ logs }) => logs)
        .join(),
    ).not.toContain('hush')
  })

  it('that is gone for good: the event is a dead letter, whose replay announces and pays nothing', async () => {
    const told: unknown[] = []
    let gone = true
    const server = createServer((request, response) => {
      if (!gone) told.push(request.headers['webhook-id'])
      request.resume().on('end', () => response.writeHead(gone ? 410 : 204).end())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close().closeAllConnections())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const cloud = await startForTest({ environment: { EVENTS_URL: url, EVENTS_SECRET: SECRET } })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.deadLetters()).toMatchObject([{ ErrorMessage: expect.stringContaining('could not be delivered') }])
    expect(cloud.cos.bill()).toHaveLength(1)
    gone = false
    await fetch(`${cloud.controlUrl}/api/dead-letters/replay`, { method: 'POST' })
    await cloud.scf.idle()
    expect(told).toHaveLength(1)
    expect(cloud.scf.deadLetters()).toEqual([])
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('promise 5', () => {
  it('nothing that a full run writes holds a signature, a token, a key or an Authorization', async () => {
    const { cloud, lines, events } = await withReceiver({
      ACCESS: 'signed',
      URL_KEYS: 'shop:a-secret-of-a-shop-for-urls',
    })
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.upload('uploads/fake.jpg', Buffer.from('no image'))
    await cloud.image('/plain/uploads/mug.jpg?exp=1999999999&kid=shop&sig=abcdefgh')
    // One run gives up, and the next one comes through, however slow they are.
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'slow-down', times: 5 }])
    await cloud.upload('uploads/b.jpg', await photo('#2040b0'))
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await cloud.upload('uploads/c.jpg', await photo('#20b040'))
    expect(cloud.scf.deadLetters()).toHaveLength(1)
    cloud.faults.set([])
    const records: string[] = []
    for (const key of await cloud.keys('.matting/')) records.push(key, (await cloud.bucket.get(key))?.body ?? '')
    const logs = cloud.scf.invocations().flatMap((run) => [...run.logs, run.error ?? ''])
    const api = await Promise.all(
      ['bill', 'requests', 'invocations', 'faults'].map(async (name) =>
        (await fetch(`${cloud.controlUrl}/api/${name}`)).text(),
      ),
    )
    const written = [...logs, ...lines, ...records, ...api, JSON.stringify(events())]
    expect(written.length).toBeGreaterThan(20)
    // The receiver says that a signature is good; nobody says what it is.
    const text = written.join('\n').replaceAll('signature good', '')
    expect(text).not.toMatch(
      /q-sign|q-ak|signature|authorization|security-token|whsec_|local-role|local-secret|a-secret|abcdefgh/i,
    )
  })
})

describe('an instance whose clock is wrong', () => {
  it.each([-10 * 60_000, 10 * 60_000, -36 * 3_600_000, 36 * 3_600_000])(
    'by %i ms announces by COS’s: receivers take it, and what is deferred today has today’s id',
    async (ms) => {
      const { cloud, events, lines } = await withReceiver({
        EVENTS: 'cutout.created,cutout.failed,cutout.deferred,source.skipped',
        DAILY_LIMIT: '1',
      })
      cloud.faults.set([{ on: 'Instance', kind: 'skew', ms }])
      // First what is skipped at sight, when nothing has told what time it is.
      await cloud.bucket.put('uploads/a.txt', 'text', { type: 'text/plain' })
      await cloud.scf.idle()
      await cloud.upload('uploads/mug.jpg', await photo())
      await cloud.upload('uploads/bag.jpg', await photo('#2040b0'))
      expect(lines.filter((line) => line.includes('refused'))).toEqual([])
      const told = [...new Map(events().map((event) => [event.id, event])).values()]
      expect(told.map(({ type }) => type)).toEqual(['source.skipped', 'cutout.created', 'cutout.deferred'])
      for (const { time } of told) expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(300_000)
      const { data, time } = Object(told.at(-1))
      const { bucket, key, etag } = data.source
      const news = JSON.stringify(['cutout.deferred', bucket, key, etag, 'limit-reached', time.slice(0, 10)])
      expect(told.at(-1)?.id).toBe(createHash('sha256').update(news).digest('hex').slice(0, 32))
      // Of deferred photos alone: nothing that was done is delivered again.
      expect(cloud.scf.deadLetters()).toHaveLength(1)
    },
  )

  it.each([-10 * 60_000, 36 * 3_600_000])('by %i ms says how long it is to the midnight of COS', async (ms) => {
    const cloud = await startForTest({ environment: { DAILY_LIMIT: '0' } })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'Instance', kind: 'skew', ms }])
    const { status, headers } = await cloud.image('/plain/uploads/mug.jpg')
    expect(status).toBe(429)
    const beside = (Date.now() / 1_000 + Number(headers['retry-after'])) % 86_400
    expect(Math.min(beside, 86_400 - beside)).toBeLessThan(60)
  })
})
