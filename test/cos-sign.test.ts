import COS from 'cos-nodejs-sdk-v5'
import { describe, expect, test } from 'vitest'
import { encode } from '../local/cos/answer.ts'
import {
  authorization,
  BUCKET,
  element,
  ID,
  type Lab,
  photo,
  REGION,
  SECRET,
  sendRaw,
  startLab,
} from './helpers/cos.ts'

// Go's GetPresignedURL of old and the suite of Node's SDK put the whole Authorization into the one parameter `sign`.

const HOST = `${BUCKET}.cos.${REGION}.myqcloud.com`
const headers = { Host: HOST }

async function get(lab: Lab, search: string, method = 'GET', path = '/1.txt') {
  const reply = await sendRaw(lab.port, method, `${path}?${search}`, { headers })
  return [reply.status, element(reply, 'Code') ?? reply.text]
}

describe('?sign= with an Authorization of today', () => {
  const sign = (more: { method?: string; query?: Record<string, string> } = {}) =>
    `sign=${encode(authorization({ method: 'GET', path: '/1.txt', headers, ...more }))}`

  test('is as good as the header, with what it lists', async () => {
    const lab = await startLab()
    await lab.put('1.txt')
    expect(await get(lab, sign())).toEqual([200, 'hello'])
    const odd = 'qwertyuiopASDF,./;\'[]\\-=0987654321`~!@#$%^&*()_+{}|":>?<'
    const query = { [odd]: odd }
    expect(await get(lab, `${sign({ query })}&${encode(odd)}=${encode(odd)}`)).toEqual([200, 'hello'])
    expect(await get(lab, `${sign({ query })}&${encode(odd)}=other`)).toEqual([403, 'SignatureDoesNotMatch'])
    expect(await get(lab, sign({ method: 'PUT' }))).toEqual([403, 'SignatureDoesNotMatch'])
    expect(await get(lab, 'sign=q-sign-algorithm%3Dsha1')).toEqual([403, 'AccessDenied'])
  })

  test('stands in no record of requests', async () => {
    const lab = await startLab()
    await get(lab, sign())
    expect(lab.requests().map(({ path }) => path)).toEqual(['/1.txt'])
  })
})

describe('?sign= by getV4Auth', () => {
  const cos = new COS({ SecretId: ID, SecretKey: SECRET })
  const v4 = (more: object = {}) => `sign=${encode(cos.getV4Auth({ Bucket: BUCKET, Key: '1.txt', ...more }))}`

  async function stocked(): Promise<Lab> {
    const lab = await startLab()
    for (const key of ['1.txt', 'ä b/2.txt']) await lab.put(key)
    return lab
  }

  test('reads the object that it names', async () => {
    const lab = await stocked()
    expect(await get(lab, v4())).toEqual([200, 'hello'])
    expect(await get(lab, v4(), 'HEAD')).toEqual([200, ''])
    expect(await get(lab, v4({ Key: 'ä b/2.txt' }), 'GET', `/${encode('ä b')}/2.txt`)).toEqual([200, 'hello'])
  })

  test.each<[string, object, number, string, string?, string?]>([
    ['of another key', { Key: '2.txt' }, 403, 'AccessDenied'],
    ['of another bucket', { Bucket: 'other-1250000000' }, 403, 'AccessDenied'],
    ['that has expired', { Expires: -60 }, 403, 'AccessDenied'],
    ['by another secret', { SecretKey: 'other' }, 403, 'SignatureDoesNotMatch'],
    ['by an unknown key', { SecretId: 'other' }, 403, 'InvalidAccessKeyId'],
    ['to write', {}, 403, 'AccessDenied', 'PUT'],
    ['to delete', {}, 403, 'AccessDenied', 'DELETE'],
    ['to list', {}, 403, 'AccessDenied', 'GET', '/'],
  ])('%s is refused', async (_, more, status, code, method, path) => {
    expect(await get(await stocked(), v4(more), method, path)).toEqual([status, code])
  })

  test.each(['', '=', encode(Buffer.from('a=1&b=2').toString('base64'))])('%j is refused', async (text) => {
    expect(await get(await stocked(), `sign=${text}`)).toEqual([403, 'AccessDenied'])
  })

  test('needs the token of a temporary key, and signs nothing: strict signatures want more', async () => {
    const lab = await stocked()
    lab.keys.set('TEMP', { secret: SECRET, token: 'to/k=' })
    const temporary = v4({ SecretId: 'TEMP' })
    expect(await get(lab, temporary)).toEqual([403, 'InvalidAccessKeyId'])
    expect(await get(lab, `${temporary}&x-cos-security-token=to%2Fk%3D`)).toEqual([200, 'hello'])
    const rule = (list: string) =>
      `<StrictSignatureConfiguration><Rule><ID>a</ID><actionlist><action>GetObject</action></actionlist>${list}</Rule></StrictSignatureConfiguration>`
    const strict = (list: string) => lab.send('PUT', '', { query: { 'strict-signature': '' }, body: rule(list) })
    await strict('<paramlist><param>all</param></paramlist>')
    expect(await get(lab, v4())).toEqual([200, 'hello'])
    expect(await get(lab, `${v4()}&v=1`)).toEqual([403, 'AccessDenied'])
    await strict('<headerlist><header>host</header></headerlist>')
    expect(await get(lab, v4())).toEqual([403, 'AccessDenied'])
  })

  test('with ci-process added is a paid call only for a key that may pay', async () => {
    const lab = await stocked()
    await lab.put('1.txt', await photo())
    lab.keys.set(ID, { secret: SECRET, policy: { statements: [] } })
    expect(await get(lab, `${v4()}&ci-process=GoodsMatting`)).toEqual([403, 'AccessDenied'])
    expect(lab.bill()).toEqual([])
  })
})
