import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parsePolicy } from '../local/cos/policy.ts'
import { startForTest } from './helpers/cloud.ts'
import { AT, BUCKET, client, element, photo, REGION, type Reply, sendRaw } from './helpers/cos.ts'
import { openShop, quarters, type Shop } from './helpers/processing.ts'

let shop: Shop

beforeAll(async () => {
  shop = await openShop()
  await shop.send('PUT', 'a.png', { body: await quarters(200, 100).png().toBuffer() })
})
afterAll(() => shop.end())
afterEach(() => shop.tidy())

const code = (reply: Reply) => [reply.status, element(reply, 'Code')]
const VIEW = 'imageMogr2/thumbnail/40x/format/webp/quality/80'
const AVIF = 'imageMogr2/format/avif'
const STRICT = (params: string) =>
  `<StrictSignatureConfiguration><Rule><ID>views</ID><actionlist><action>GetObject</action></actionlist>${params}</Rule></StrictSignatureConfiguration>`

/** A URL of the vendor's own client, both as it returns and as it calls back. */
async function presigned(query: Record<string, string>): Promise<{ returned: string; called: string }> {
  const cos = client(shop)
  const asked = { ...AT, Key: 'a.png', Sign: true, Protocol: 'http:', Query: query } as const
  const called = await new Promise<string>((resolve) => {
    cos.getObjectUrl(asked, (_, data) => resolve(data.Url))
  })
  return { returned: cos.getObjectUrl(asked), called }
}

async function open(url: string): Promise<unknown[]> {
  const { pathname, search, host } = new URL(url)
  const reply = await sendRaw(shop.port, 'GET', pathname + search, { headers: { Host: host } })
  if (reply.status !== 200) return code(reply)
  const { format, width } = await sharp(reply.bytes).metadata()
  return [reply.status, format, width]
}

describe('a presigned view', () => {
  test('opens with its list encoded twice, as the vendor’s sample has it, and once', async () => {
    const { returned, called } = await presigned({ [VIEW]: '' })
    expect(called).toContain('q-url-param-list=imagemogr2%252fthumbnail%252f40x')
    expect(returned).toContain('q-url-param-list=imagemogr2%2fthumbnail%2f40x')
    expect([await open(called), await open(returned)]).toEqual(Array(2).fill([200, 'webp', 40]))
    // Without `=`, and with the slashes as they are.
    expect(await open(called.replace(`${encodeURIComponent(VIEW)}=`, VIEW))).toEqual([200, 'webp', 40])
  })

  test('cannot be turned into another one, nor into a matting, nor opened without', async () => {
    const { called } = await presigned({ [VIEW]: '' })
    for (const [from, to] of [
      ['thumbnail%2F40x', 'thumbnail%2F41x'],
      ['quality%2F80', 'quality%2F81'],
      ['format%2Fwebp', 'format%2Favif'],
      [`&${encodeURIComponent(VIEW)}=`, ''],
      [`${encodeURIComponent(VIEW)}=`, `${encodeURIComponent(VIEW)}=1`],
    ] as const) {
      expect(called).toContain(from)
      expect(await open(called.replace(from, to))).toEqual([403, 'SignatureDoesNotMatch'])
    }
    expect(await open(`${called}&ci-process=GoodsMatting`)).toEqual([501, 'NotImplemented'])
    expect(shop.bill()).toEqual([])
  })

  test('the case of its letters is not signed, for names are signed in lower case: it can be spoilt, and its last digit changed', async () => {
    const view = 'imageMogr2/thumbnail/40x40/pad/1/color/I0Y2RjVGMg'
    const { called } = await presigned({ [view]: '' })
    expect(await open(called)).toEqual([200, 'png', 40])
    const changed: string[] = []
    for (const i of [...view].keys()) {
      const letter = view.charAt(i)
      const other = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()
      if (other === letter) continue
      const spoilt = encodeURIComponent(view.slice(0, i) + other + view.slice(i + 1))
      const [status] = await open(called.replace(encodeURIComponent(view), spoilt))
      if (status === 200) changed.push(decodeURIComponent(spoilt).slice(-10))
      else expect([400, 501]).toContain(status)
    }
    // #f6f5f0 for #f6f5f2.
    expect(changed).toEqual(['I0Y2RjVGMG'])
  })

  test('an operation that anybody appended to a plain URL is done, unless strict signatures forbid it', async () => {
    const { called } = await presigned({})
    expect(await open(`${called}&${VIEW}`)).toEqual([200, 'webp', 40])
    expect(await open(`${called}&${AVIF}`)).toEqual([403, 'NoProcessAuthority'])
    shop.readings.advanced = true
    expect((await open(`${called}&${AVIF}`))[1]).toBe('heif')
    const put = (body: string) => shop.send('PUT', '', { query: { 'strict-signature': '' }, body })
    expect((await put(STRICT('<paramlist><param>all</param></paramlist>'))).status).toBe(200)
    expect(await open(`${called}&${AVIF}`)).toEqual([403, 'AccessDenied'])
    expect(await open((await presigned({ [VIEW]: '' })).called)).toEqual([200, 'webp', 40])
    expect((await shop.send('DELETE', '', { query: { 'strict-signature': '' } })).status).toBe(204)
  })

  test('of several operations the first in the query is done, or the last where that is set', async () => {
    const { called } = await presigned({ [VIEW]: '' })
    const more = `${called}&imageMogr2/thumbnail/20x`
    expect(await open(more)).toEqual([200, 'webp', 40])
    expect(await open(called.replace('?', '?imageMogr2/thumbnail/20x&'))).toEqual([200, 'png', 20])
    shop.readings.several = 'last'
    expect(await open(more)).toEqual([200, 'png', 20])
    expect(await open(`${called}&exif`)).toEqual([501, 'NotImplemented'])
  })
})

describe('permissions', () => {
  const COS = `qcs::cos:${REGION}:uid/1250000000:${BUCKET}`
  const CI = `qcs::ci:${REGION}:uid/1250000000:bucket/${BUCKET}`
  const as = (...statement: [effect: 'allow' | 'deny', action: string, resource: string][]) => {
    const policy = {
      version: '2.0',
      statement: statement.map(([effect, action, resource]) => ({ effect, action, resource })),
    }
    shop.keys.set('SOMEBODY', { secret: 'local-secret', policy: parsePolicy(policy) })
    return { id: 'SOMEBODY', secret: 'local-secret' }
  }

  test('who may read may see every view, advanced ones too, whatever is denied of Cloud Infinite', async () => {
    shop.readings.advanced = true
    for (const operation of [VIEW, AVIF, 'imageInfo', 'imageAve']) {
      const query = { [operation]: '' }
      const reader = as(['allow', 'cos:GetObject', `${COS}/a.png`], ['deny', 'ci:*', `${CI}/*`])
      expect((await shop.send('GET', 'a.png', { query, ...reader })).status).toBe(200)
      expect(code(await shop.send('GET', 'a.png', { query, ...as(['allow', 'ci:*', '*']) }))).toEqual([
        403,
        'AccessDenied',
      ])
    }
  })

  test('HEAD needs HeadObject', async () => {
    const head = async (action: string) =>
      (await shop.send('HEAD', 'a.png', { query: { [VIEW]: '' }, ...as(['allow', action, `${COS}/a.png`]) })).status
    expect([await head('cos:HeadObject'), await head('cos:GetObject')]).toEqual([200, 403])
  })

  test('a stored view needs GetObject on its source and PutObject on its key; a matting beside it more', async () => {
    const view = { fileid: '/v/a.webp', rule: VIEW }
    const ask = async (who: object, ...rules: object[]) => {
      const headers = { 'Pic-Operations': JSON.stringify({ rules }) }
      return (await shop.send('POST', 'a.png', { query: { image_process: '' }, headers, ...who })).status
    }
    const [read, write] = [
      ['allow', 'cos:GetObject', `${COS}/a.png`],
      ['allow', 'cos:PutObject', `${COS}/v/*`],
    ] as const
    expect(await ask(as([...read], [...write]), view)).toBe(200)
    expect(await ask(as([...read]), view)).toBe(403)
    expect(await ask(as([...write]), view)).toBe(403)
    const matting = { fileid: '/v/a.png', rule: 'ci-process=GoodsMatting' }
    expect(await ask(as([...read], [...write]), view, matting)).toBe(403)
    expect(
      await ask(as([...read], [...write], ['allow', 'ci:CreateGoodsMattingJob', `${CI}/a.png`]), view, matting),
    ).toBe(200)
  })
})

describe('the vendor’s client', () => {
  test('gets views, by Query and by QueryString', async () => {
    const cos = client(shop)
    for (const how of [{ Query: { [VIEW]: '' } }, { QueryString: VIEW }]) {
      const { Body, headers } = await cos.getObject({ ...AT, Key: 'a.png', ...how })
      expect([(await sharp(Body).metadata()).width, headers?.['content-type']]).toEqual([40, 'image/webp'])
    }
    expect(
      await open(cos.getObjectUrl({ ...AT, Key: 'a.png', Sign: true, Protocol: 'http:', QueryString: VIEW })),
    ).toEqual([200, 'webp', 40])
  })

  test('stores views, and reads what is told of them', async () => {
    const cos = client(shop)
    const Headers = { 'Pic-Operations': JSON.stringify({ rules: [{ fileid: '/v/sdk.webp', rule: VIEW }] }) }
    const told = {
      UploadResult: { ProcessResults: { Object: { Key: 'v/sdk.webp', Format: 'webp', Width: '40', Height: '20' } } },
    }
    expect(await cos.request({ ...AT, Method: 'POST', Key: 'a.png', Action: 'image_process', Headers })).toMatchObject(
      told,
    )
    expect(await cos.putObject({ ...AT, Key: 'b.jpg', Body: await photo(200, 100), Headers })).toMatchObject(told)
  })

  test('tells its errors', async () => {
    await expect(
      client(shop).getObject({ ...AT, Key: 'a.png', Query: { 'imageMogr2/thumbnail/x': '' } }),
    ).rejects.toMatchObject({
      statusCode: 400,
      code: 'InvalidArgument',
    })
  })
})

test('the control API shows what was processed, and sets how it is read', async () => {
  const cloud = await startForTest()
  await cloud.bucket.put('a.jpg', await photo(200, 100), { type: 'image/jpeg' })
  const at = (path: string, body?: string) =>
    fetch(`${cloud.controlUrl}${path}`, body === undefined ? {} : { method: 'PUT', body })
  const usual = { pad: 'keeps', jpg: 'white', several: 'first', advanced: false }
  expect(await (await at('/api/readings')).json()).toEqual(usual)
  expect(await (await at('/api/readings', '{"advanced":true,"jpg":"black"}')).json()).toEqual({
    ...usual,
    advanced: true,
    jpg: 'black',
  })
  for (const wrong of ['{"advanced":"yes"}', '{"jpg":"grey"}', '{"constructor":1}', '{"advanced":false,"pad":"x"}'])
    expect((await at('/api/readings', wrong)).status).toBe(400)
  await cloud.reset()
  expect(cloud.cos.readings).toEqual({ ...usual, advanced: true, jpg: 'black' })
  expect(await (await at('/api/bill')).json()).toEqual({
    calls: 0,
    items: [],
    processing: { calls: 0, bytes: 0, advanced: 0 },
  })
})
