import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { CosOptions } from '../local/cos/cos.ts'
import { authorization, element, type Lab, sendRaw, startLab } from './helpers/cos.ts'

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
