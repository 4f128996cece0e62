import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
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
