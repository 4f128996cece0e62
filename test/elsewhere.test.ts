import { hash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { describe, expect, it, onTestFinished } from 'vitest'
import { elsewhereName } from '../lib/elsewhere.ts'
import { codeOf, photo, startForTest, type TestCloud } from './helpers/cloud.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A host of pictures, which answers the functions one way and the vendor another, and a cloud that knows it as pictures.example. */
async function start(
  answer: Handler,
  vendor: Handler = answer,
  environment: Record<string, string> = {},
): Promise<TestCloud & { seen: string[] }> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    const ours = request.headers.accept === 'image/*'
    seen.push(`${ours ? 'look' : 'vendor'} ${request.url}`)
    if (ours) answer(request, response)
    else vendor(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const cloud = await startForTest({
    instances: 2,
    hosts: new Map([['pictures.example', port]]),
    environment: { DETECT_HOSTS: 'pictures.example', REDIRECT_TTL: '0', ...environment },
  })
  return { ...cloud, seen }
}

const at = (path: string, layout = 'plain') => `/${layout}/${encodeURIComponent(`http://pictures.example${path}`)}`

const picture =
  (body: Buffer, headers: Record<string, string> = { etag: '"1"' }): Handler =>
  (_, response) =>
    void response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': body.length, ...headers }).end(body)

describe('a picture elsewhere whose host fails once for the vendor', () => {
  const failures: [what: string, fail: Handler][] = [
    ['503', (_, response) => void response.writeHead(503).end('busy')],
    ['404', (_, response) => void response.writeHead(404).end()],
    ['a reset', (request) => void request.socket.resetAndDestroy()],
  ]
  it.each(failures)('with %s is "later", unnoted, and cut out by the next who asks', async (_, fail) => {
    const body = await photo()
    let fails = 1
    const cloud = await start(picture(body), (...asked) => (fails-- > 0 ? fail : picture(body))(...asked))
    const first = await cloud.image(at('/a.jpg'))
    expect([codeOf(first), first.status, 'retry-after' in first.headers]).toEqual(['unavailable', 503, true])
    expect(await cloud.keys('.matting/failed/')).toEqual([])
    expect(cloud.cos.bill()).toEqual([])
    expect((await cloud.image(at('/a.jpg'))).headers['x-matting']).toBe('made')
    expect(cloud.cos.bill()).toHaveLength(1)
    expect(cloud.seen.filter((line) => line.startsWith('vendor'))).toHaveLength(2)
  })

  it('with a page that says so is no image for as long as its claim lasts, unnoted', async () => {
    const body = await photo()
    let fails = 1
    const page: Handler = (_, response) => void response.writeHead(200).end('<html>Busy.</html>')
    const cloud = await start(picture(body), (...asked) => (fails-- > 0 ? page : picture(body))(...asked), {
      CLAIM_TIME: '60',
    })
    for (let i = 0; i < 3; i++) expect(codeOf(await cloud.image(at('/a.jpg')))).toBe('not-an-image')
    expect(cloud.seen.filter((line) => line.startsWith('vendor'))).toHaveLength(1)
    expect(await cloud.keys('.matting/failed/')).toEqual([])
    // As if its minute had passed.
    for (const claim of await cloud.keys('.matting/claims/')) await cloud.bucket.delete(claim)
    expect((await cloud.image(at('/a.jpg'))).headers['x-matting']).toBe('made')
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('a token in the URL of a picture elsewhere', () => {
  const path = '/shop/mug%20%E6%9D%AF.jpg?token=hush-hush&size=1'

  /** Every key in the bucket, with what is in it. */
  async function everything(cloud: TestCloud): Promise<string> {
    const keys = await cloud.keys('')
    const bodies = await Promise.all(keys.map(async (key) => (await cloud.bytes(key)).toString('latin1')))
    return [...keys, ...bodies].join('\n')
  }

  it('is in no key, no record, no log and no answer; host and path can be read', async () => {
    const cloud = await start(picture(await photo()))
    const made = await cloud.image(at(path))
    expect(made.headers['x-matting']).toBe('made')
    const hit = await cloud.image(at(path))
    expect(hit.headers['x-matting']).toBe('hit')
    const name = '_2Fpictures\\.example/shop/mug_2520_25E6_259D_25AF\\.jpg_3F[0-9a-f]{32}/[0-9a-f]+-plain\\.png'
    expect(await cloud.keys('cutouts/')).toEqual([expect.stringMatching(new RegExp(`^cutouts/http_3A/${name}$`))])
    const stored = await everything(cloud)
    expect(stored).toContain('"source":"http://pictures.example/shop/mug%20%E6%9D%AF.jpg?')
    const logs = cloud.scf.invocations().flatMap((run) => run.logs)
    expect(JSON.stringify([stored, logs, made, hit])).not.toContain('hush')
  })

  it('is in no mark of failure and no claim that was given up', async () => {
    const blank = await sharp({ create: { width: 90, height: 80, channels: 3, background: '#e4e4e6' } })
      .jpeg()
      .toBuffer()
    const cloud = await start(picture(blank))
    expect(codeOf(await cloud.image(at(path)))).toBe('no-product')
    expect(await cloud.keys('.matting/failed/')).toHaveLength(1)
    const broken = await start(picture(Buffer.from('no image')))
    const refused = await broken.image(at(path))
    expect(codeOf(refused)).toBe('not-an-image')
    expect(JSON.stringify([await everything(cloud), await everything(broken), refused])).not.toContain('hush')
  })

  it('tells pictures apart, and is needed to see the original', async () => {
    const cloud = await start(picture(Buffer.from('no image')), undefined, { ON_FAILURE: 'original' })
    const { headers } = await cloud.image(at(path))
    expect([headers['x-matting'], headers.location]).toEqual(['original', `http://pictures.example${path}`])
    const [one, other, none] = ['?a=1', '?a=2', ''].map((query) => elsewhereName(new URL(`http://h.example/a${query}`)))
    expect(new Set([one, other, none]).size).toBe(3)
    expect(none).toBe('http://h.example/a')
  })

  it('does not keep from finding what was made before 1.0 under a key that holds it', async () => {
    const body = await photo()
    const old = { 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' }
    for (const headers of [{}, { etag: '"1"' }, old, { etag: '"1"', ...old }]) {
      const cloud = await start(picture(body, headers))
      const validator =
        'etag' in headers ? headers.etag : 'last-modified' in headers && `${headers['last-modified']} ${body.length}`
      const version = hash('sha256', validator ? `/shop/mug%20%E6%9D%AF.jpg ${validator}` : body)
      const spelt = '_2Fpictures.example/shop/mug_2520_25E6_259D_25AF.jpg_3Ftoken_3Dhush-hush_26size_3D1'
      const older = `cutouts/http_3A/${spelt}/${version.slice(0, 16)}-plain.png`
      await cloud.bucket.put(older, await sharp(body).png().toBuffer(), { type: 'image/png' })
      const { headers: found } = await cloud.image(at(path))
      expect([found['x-matting'], new URL(found.location ?? '').pathname]).toEqual(['hit', `/${older}`])
      expect(cloud.cos.bill()).toEqual([])
    }
  })

  it('nor what was noted before 1.0, but for what its host may have been to blame for', async () => {
    const cloud = await start(picture(await photo()))
    const version = hash('sha256', '/shop/mug%20%E6%9D%AF.jpg "1"').slice(0, 16)
    const spelt = '_2Fpictures.example/shop/mug_2520_25E6_259D_25AF.jpg_3Ftoken_3Dhush-hush_26size_3D1'
    const note = async (name: string) => {
      const key = `.matting/failed/cutouts/http_3A/${spelt}/${version}${name}.json`
      await cloud.bucket.put(key, '{}', { type: 'application/json' })
      return key
    }
    for (const [name, code] of [
      ['.no-product', 'no-product'],
      ['-plain.too-large', 'too-large'],
    ]) {
      const mark = await note(name ?? '')
      expect(codeOf(await cloud.image(at(path)))).toBe(code)
      await cloud.bucket.delete(mark)
    }
    await note('.not-an-image')
    expect((await cloud.image(at(path))).headers['x-matting']).toBe('made')
  })
})
