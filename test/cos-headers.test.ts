import { describe, expect, test } from 'vitest'
import { encode } from '../local/cos/answer.ts'
import { AT, BUCKET, client, element, REGION, sendRaw, startLab } from './helpers/cos.ts'

// Every header of PUT Object (product/436/7749) and of what else its SDKs send with it.

const MD5 = 'XUFAKrxLKna5cZ2REBfFkg=='
/** What COS would do and this does not. */
const REFUSED: [name: string, value: string][] = [
  ['x-cos-acl', 'public-read'],
  ['x-cos-acl', 'authenticated-read'],
  ['x-cos-acl', 'bucket-owner-full-control'],
  ['x-cos-grant-read', 'id="100000000001"'],
  ['x-cos-grant-write', 'id="100000000001"'],
  ['x-cos-grant-read-acp', 'id="100000000001"'],
  ['x-cos-grant-write-acp', 'id="100000000001"'],
  ['x-cos-grant-full-control', 'id="100000000001",id="100000000002"'],
  ['x-cos-storage-class', 'STANDARD_IA'],
  ['x-cos-storage-class', 'ARCHIVE'],
  ['x-cos-tagging', 'Key1=Value1&Key2=Value2'],
  ['x-cos-server-side-encryption', 'AES256'],
  ['x-cos-server-side-encryption-cos-kms-key-id', '48ba38aa-26c5-11ea-855c-52540085'],
  ['x-cos-server-side-encryption-context', 'eyJhIjoiYiJ9'],
  ['x-cos-server-side-encryption-customer-algorithm', 'AES256'],
  ['x-cos-server-side-encryption-customer-key', 'MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY='],
  ['x-cos-server-side-encryption-customer-key-MD5', 'U5L61r7jcwdNvT7frmUG8g=='],
  ['x-cos-object-lock-mode', 'COMPLIANCE'],
  ['x-cos-object-lock-retain-until-date', '2030-12-10T08:34:48.000Z'],
  ['x-cos-object-type', 'appendable'],
  // {"callbackUrl":"http://example.com/","callbackBody":"size=${size}"}
  ['x-cos-callback', 'eyJjYWxsYmFja1VybCI6Imh0dHA6Ly9leGFtcGxlLmNvbS8iLCJjYWxsYmFja0JvZHkiOiJzaXplPSR7c2l6ZX0ifQ=='],
  ['x-cos-callback-var', 'eyJ4OmEiOiJiIn0='],
  // {"height":"${imageInfo.height}"}, for which Cloud Infinite is paid
  ['x-cos-return-body', 'eyJoZWlnaHQiOiIke2ltYWdlSW5mby5oZWlnaHR9In0='],
  ['x-cos-content-sha1', 'aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d'],
  ['x-cos-mime-limit', 'image/*'],
  ['x-cos-fsize-max', '3'],
  ['x-cos-metadata-directive', 'Replaced'],
  ['x-cos-copy-source-If-Match', '"a"'],
  ['x-cos-forbid-overwrite', 'perhaps'],
]

/** What is done, and how the object shows it. */
const DONE: [name: string, value: string, shown: string | undefined][] = [
  ['Cache-Control', 'max-age=86400', 'max-age=86400'],
  ['Content-Disposition', 'attachment; filename=a.jpg', 'attachment; filename=a.jpg'],
  ['Content-Encoding', 'gzip', 'gzip'],
  ['Content-Type', 'image/jpeg', 'image/jpeg'],
  ['Expires', 'Thu, 01 Dec 2033 16:00:00 GMT', 'Thu, 01 Dec 2033 16:00:00 GMT'],
  ['x-cos-meta-matting', 'plain', 'plain'],
  ['Content-MD5', MD5, undefined],
  ['Expect', '100-continue', undefined],
  ['x-cos-acl', 'private', undefined],
  ['x-cos-acl', 'default', undefined],
  ['x-cos-storage-class', 'STANDARD', undefined],
  ['x-cos-forbid-overwrite', 'true', undefined],
  ['x-cos-traffic-limit', '838860800', undefined],
]

/** What means nothing to COS. */
const IGNORED: [name: string, value: string][] = [
  ['x-cos-test', `aksjhdlash sajlhj!@#$%^&*()_+=-[]{}';:"/.<>?.,??sadasd#/.,/~\``],
  ['x-cos-sdk-retry', 'true'],
  ['x-cos-unheard-of', '1'],
  ['Content-Language', 'en'],
  ['If-None-Match', '*'],
  ['If-Match', '"a"'],
  ['Range', 'bytes=0-1'],
  ['Date', 'Thu, 01 Dec 2033 16:00:00 GMT'],
  ['Referer', 'http://127.0.0.1/'],
]

describe('headers of PUT Object', () => {
  test('that would do what is not done here are refused by name, and nothing is stored', async () => {
    const lab = await startLab()
    for (const [name, value] of REFUSED) {
      const reply = await lab.put('a', 'hello', { [name]: value })
      expect([name, value, reply.status, element(reply, 'Code')]).toEqual([name, value, 501, 'NotImplemented'])
      expect(element(reply, 'Message')).toContain(`the header ${name.toLowerCase()}`)
    }
    expect((await lab.send('HEAD', 'a')).status).toBe(404)
  })

  test('that are done are shown by the object', async () => {
    const lab = await startLab()
    for (const [i, [name, value, shown]] of DONE.entries()) {
      const put = await lab.put(`${i}`, 'hello', { [name]: value })
      const got = await lab.send('GET', `${i}`)
      const heeded = [name, put.status, got.text, got.headers[name.toLowerCase()]]
      expect(heeded).toEqual([name, 200, 'hello', shown])
    }
  })

  test('that mean nothing to COS are ignored', async () => {
    const lab = await startLab()
    const names = async (key: string) => Object.keys((await lab.send('HEAD', key)).headers)
    await lab.put('plain')
    for (const [name, value] of IGNORED) {
      expect([name, (await lab.put('a', 'hello', { [name]: value })).status]).toEqual([name, 200])
      expect(await names('a')).toEqual(await names('plain'))
    }
  })

  test('cannot be added to a URL that somebody was given, neither as headers nor in its query', async () => {
    const lab = await startLab()
    const cos = client(lab)
    const url = cos.getObjectUrl({ ...AT, Key: 'a', Method: 'PUT', Sign: true }, () => {})
    const target = url.slice(url.indexOf('/a?'))
    const Host = `127.0.0.1:${lab.port}`
    const put = (added: string, headers: Record<string, string>) =>
      sendRaw(lab.port, 'PUT', `${target}${added}`, { headers: { Host, ...headers }, body: 'hello' })
    for (const [name, value] of REFUSED) {
      const replies = [await put('', { [name]: value }), await put(`&${name}=${encode(value)}`, {})]
      expect([name, ...replies.map(({ status }) => status)]).toEqual([name, 501, 501])
    }
    expect((await lab.send('HEAD', 'a')).status).toBe(404)
    expect((await put('', {})).status).toBe(200)
  })
})

test('headers are refused of other writes, too', async () => {
  const lab = await startLab()
  await lab.put('a')
  const acl = { 'x-cos-acl': 'public-read' }
  const source = { 'x-cos-copy-source': `${BUCKET}.cos.${REGION}.myqcloud.com/a` }
  const statuses = await Promise.all([
    lab.send('PUT', '', { host: `other-1250000000.cos.${REGION}.myqcloud.com`, headers: acl }),
    lab.send('POST', 'b', { query: { uploads: '' }, headers: acl }),
    lab.send('PUT', 'b', { headers: { ...source, ...acl } }),
    lab.send('PUT', 'b', { headers: { ...source, 'x-cos-tagging-directive': 'Replaced' } }),
    lab.send('PUT', 'b', { query: { partNumber: '1', uploadId: 'x' }, headers: source }),
  ])
  expect(statuses.map(({ status }) => status)).toEqual([501, 501, 501, 501, 501])
})

test('requests of the vendor’s Node SDK with headers that COS does not know', async () => {
  const lab = await startLab()
  const cos = client(lab)
  const Headers = { 'x-cos-test': IGNORED[0]?.[1] ?? '' }
  await cos.putObject({ ...AT, Key: '12345.txt', Body: '12345', Headers })
  const Prefix = `aksjhdlash sajlhj!@#$%^&*()_+=-[]{}';:"/.<>?.,??sadasd#/.,/~\``
  expect((await cos.getBucket({ ...AT, Prefix, Headers })).Contents).toEqual([])
})
