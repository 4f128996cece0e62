import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { CosOptions } from '../local/cos/cos.ts'
import { authorization, element, type Lab, type Reply, type Sent, sendRaw, startLab } from './helpers/cos.ts'

const BEGAN = Date.UTC(2026, 0, 2, 3, 4, 5)
const MINUTE = 60_000

interface Signed {
  method: string
  path: string
  query?: Record<string, string>
}

/** Headers of a request that is signed for the hour after BEGAN. */
function headersFor({ port }: Lab, signed: Signed): Record<string, string> {
  const Host = `127.0.0.1:${port}`
  const keyTime = `${BEGAN / 1000};${BEGAN / 1000 + 3600}`
  return { Host, Authorization: authorization({ ...signed, headers: { Host }, keyTime }) }
}

/** A PUT whose headers the server has read, and whose body is the caller's to end. */
async function beginPut(lab: Lab, path: string): Promise<ClientRequest> {
  const headers = { ...headersFor(lab, { method: 'PUT', path }), Expect: '100-continue' }
  const put = httpRequest({ host: '127.0.0.1', port: lab.port, method: 'PUT', path, headers, agent: false })
  put.flushHeaders()
  await once(put, 'continue')
  return put
}

async function answerTo(put: ClientRequest): Promise<number | undefined> {
  const [response] = (await once(put, 'response')) as [IncomingMessage]
  return response.resume().statusCode
}

describe('Last-Modified of an upload', () => {
  test.each<[CosOptions['lastModified'], number]>([
    [undefined, 2 * MINUTE],
    ['end', 2 * MINUTE],
    ['start', 0],
  ])('lastModified: %s', async (lastModified, after) => {
    let now = BEGAN
    const lab = await startLab({ now: () => now, ...(lastModified && { lastModified }) })
    const expected = new Date(BEGAN + after).toUTCString()
    const modified = async (path: string) => {
      const head = await sendRaw(lab.port, 'HEAD', path, { headers: headersFor(lab, { method: 'HEAD', path }) })
      return head.headers['last-modified']
    }

    const put = await beginPut(lab, '/slow')
    now += MINUTE
    put.write('hel')
    now += MINUTE
    put.end('lo')
    expect(await answerTo(put)).toBe(200)
    expect(await modified('/slow')).toBe(expected)

    now = BEGAN
    const multipart = async (method: string, query: Record<string, string>, target: string, body = '') =>
      sendRaw(lab.port, method, `/parts?${target}`, {
        headers: headersFor(lab, { method, path: '/parts', query }),
        body,
      })
    const uploadId = element(await multipart('POST', { uploads: '' }, 'uploads'), 'UploadId') ?? ''
    now += MINUTE
    const part = { partNumber: '1', uploadId }
    const { headers } = await multipart('PUT', part, `partNumber=1&uploadId=${uploadId}`, 'hello')
    now += MINUTE
    const list = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${headers.etag}</ETag></Part></CompleteMultipartUpload>`
    expect((await multipart('POST', { uploadId }, `uploadId=${uploadId}`, list)).status).toBe(200)
    expect(await modified('/parts')).toBe(expected)
  })
})

describe('x-cos-traffic-limit', () => {
  const NAME = 'x-cos-traffic-limit'
  const BODY = Buffer.alloc(200_000, 'x')

  /** Pauses are noted and not made. */
  async function hasty() {
    const pauses: number[] = []
    const lab = await startLab({ wait: async (ms) => pauses.push(ms) })
    await lab.put('there', BODY)
    const uploadId = element(await lab.send('POST', 'big', { query: { uploads: '' } }), 'UploadId') ?? ''
    return { lab, pauses, part: { partNumber: '1', uploadId } }
  }

  test.each<[string, (limit: string) => Sent, (lab: Lab, sent: Sent, part: Record<string, string>) => Promise<Reply>]>([
    ['PUT, as a header', asHeader, (lab, sent) => lab.send('PUT', 'a', { ...sent, body: BODY })],
    ['PUT, in the query', inQuery, (lab, sent) => lab.send('PUT', 'a', { ...sent, body: BODY })],
    ['GET, as a header', asHeader, (lab, sent) => lab.send('GET', 'there', sent)],
    ['GET, in the query', inQuery, (lab, sent) => lab.send('GET', 'there', sent)],
    [
      'a part',
      asHeader,
      (lab, sent, part) => lab.send('PUT', 'big', { ...sent, query: { ...part, ...sent.query }, body: BODY }),
    ],
  ])('%s: makes the line as slow as it says, and refuses what is out of its range', async (_, put, send) => {
    const { lab, pauses, part } = await hasty()
    for (const limit of ['819200', '838860800']) {
      pauses.length = 0
      expect((await send(lab, put(limit), part)).status).toBe(200)
      const least = (BODY.length * 8_000) / Number(limit)
      const sum = pauses.reduce((a, b) => a + b, 0)
      expect(sum).toBeGreaterThanOrEqual(least)
      expect(sum).toBeLessThan(least + pauses.length)
    }
    pauses.length = 0
    for (const limit of ['819199', '838860801', '1e6', '-819200', '819200.5', 'fast', '']) {
      const reply = await send(lab, put(limit), part)
      expect([limit, reply.status, element(reply, 'Code')]).toEqual([limit, 400, 'InvalidArgument'])
    }
    expect(pauses).toEqual([])
    expect((await lab.send('GET', 'there')).bytes.equals(BODY)).toBe(true)
  })

  function asHeader(limit: string): Sent {
    return { headers: { [NAME]: limit } }
  }

  function inQuery(limit: string): Sent {
    return { query: { [NAME]: limit } }
  }

  test('the object is there only once the slow body has ended', async () => {
    let paused = () => {}
    let goOn = () => {}
    const pause = new Promise<void>((resolve) => {
      paused = resolve
    })
    const end = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const lab = await startLab({
      wait: () => {
        paused()
        return end
      },
    })
    const put = lab.put('a', 'hello', { [NAME]: '819200' })
    await pause
    // Time enough for an upload that does not wait.
    for (let i = 0; i < 20; i++) expect((await lab.send('HEAD', 'a')).status).toBe(404)
    goOn()
    expect((await put).status).toBe(200)
    expect((await lab.send('GET', 'a')).text).toBe('hello')
  })

  test('means nothing to requests without a body of the object', async () => {
    const { lab, pauses } = await hasty()
    for (const method of ['HEAD', 'DELETE'])
      expect((await lab.send(method, 'there', asHeader('1'))).status).toBeLessThan(300)
    expect(pauses).toEqual([])
  })
})
