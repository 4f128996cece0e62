import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, expect, it, onTestFinished } from 'vitest'
import { image } from '../functions/image/image.ts'
import { imageUrl, readGrant } from '../lib/access.ts'
import { createCos } from '../lib/cos.ts'
import { photo, startForTest, type TestCloud } from './helpers/cloud.ts'
import { photo as small } from './helpers/cos.ts'
import { credentials, OBJECT } from './helpers/fake.ts'
import { startStill } from './helpers/still.ts'

async function serve(listener: RequestListener, address = '127.0.0.1'): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return `http://${address.includes(':') ? `[${address}]` : address}:${(server.address() as AddressInfo).port}`
}

/** Whether this machine has an IPv6 address of its own; containers may not. */
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
if (!hasIpv6) console.warn('SKIPPED: what has an IPv6 address, for this machine has none')

describe('a signed image URL', () => {
  it('of a key with a line break cannot be read as another layout and key', () => {
    const secret = '0123456789abcdef'
    const now = 1_700_000_000_000
    const grant = { layout: 'card', key: 'uploads/a\nuploads/b.jpg', expires: now / 1000 + 60 }
    const { searchParams } = new URL(imageUrl('http://img.example', grant, 'shop', secret))
    const secrets = new Map([['shop', secret]])
    const read = (layout: string, key: string) => readGrant(layout, [key], searchParams, secrets)
    expect(read('card', 'uploads/a\nuploads/b.jpg')).toEqual(grant)
    // The very text that was signed.
    expect(() => read('card\nuploads/a', 'uploads/b.jpg')).toThrow(expect.objectContaining({ code: 'bad-signature' }))
  })
})

describe('COS’s clock', () => {
  it('is as far ahead as any answer has told: one that was long on its way does not set it back', async () => {
    const now = 1_700_000_000_000
    const dates = [7, 90, 30, 60]
    let asked = 0
    const endpoint = await serve((_, response) => {
      const date = new Date(now + (dates[asked++] ?? 0) * 1000).toUTCString()
      response.writeHead(404, { ...OBJECT, date }).end()
    })
    const cos = createCos({ endpoint, credentials, deadline: now + 60_000, now: () => now, random: () => 0 })
    const told: number[] = [cos.clock() - now]
    for (const _ of dates) {
      await cos.head('a')
      told.push(cos.clock() - now)
    }
    expect(told).toEqual([0, 7_000, 90_000, 90_000, 90_000])
  })
})

it.skipIf(!hasIpv6)('an endpoint may be an IPv6 address', async () => {
  const hosts: unknown[] = []
  const endpoint = await serve((request, response) => {
    hosts.push(request.headers.host)
    response.writeHead(404, OBJECT).end()
  }, '::1')
  const time = { deadline: Number.POSITIVE_INFINITY, now: Date.now, random: () => 0 }
  expect(await createCos({ endpoint, credentials, ...time }).head('a')).toBeUndefined()
  expect(hosts).toEqual([new URL(endpoint).host])
})

describe('a warm instance', () => {
  it('remembers ten thousand cutouts, and forgets the one that it has known for longest', async () => {
    const cos = await startStill()
    const { key } = await cos.source(await small())
    const parts = {
      ...cos.parts({ ACCESS: 'open', REDIRECT_TTL: '300' }),
      lookAt: async () => undefined,
      steady: () => 0,
    }
    const source = { key: 'uploads/other.jpg', etag: '0'.repeat(32), size: 1 }
    const seen = { source, basis: { key: 'cutouts/other.png' }, at: cos.now(), steady: 0, skew: 0, doubt: 0 }
    const known = new Map(Array.from({ length: 10_000 }, (_, i) => [`${i}`, seen] as const))
    const asking = { method: 'GET', url: `http://function/plain/${key}` }
    expect((await image(asking, { ...parts, known })).headers['x-matting']).toBe('made')
    expect([known.size, known.has('0'), known.has('1')]).toEqual([10_000, false, true])
    expect((await image(asking, { ...parts, known })).headers['x-matting']).toBe('hit')
    expect(cos.bill()).toHaveLength(1)
  })
})

describe('one announcement', () => {
  // While the receiver thinks, time passes.
  async function withSlowReceiver(ms: number) {
    const told: unknown[] = []
    let cloud: TestCloud | undefined
    const url = await serve((request, response) => {
      if (told.push(request.headers['webhook-id']) === 1) cloud?.clock.advance(ms)
      response.writeHead(told.length === 1 ? 503 : 204).end()
    })
    const secret = `whsec_${Buffer.alloc(24, 'local-secret').toString('base64')}`
    cloud = await startForTest({ timeout: 120, environment: { EVENTS_URL: url, EVENTS_SECRET: secret } })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(told).toHaveLength(2)
    expect(cloud.cos.bill()).toHaveLength(1)
    return cloud.scf.invocations().map(({ outcome }) => outcome)
  }

  it('is tried for fifteen seconds, and then by the platform: a receiver that is down does not cost all the time', async () => {
    expect(await withSlowReceiver(15_000)).toEqual(['error', 'ok'])
  })

  it('is tried again within them', async () => {
    expect(await withSlowReceiver(5_000)).toEqual(['ok'])
  })
})
