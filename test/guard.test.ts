import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { CREDENTIALS } from '../local/cloud.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { authorization, BUCKET, element, REGION, type Reply, type SignInput, sendRaw } from './helpers/cos.ts'

const SHOP = 'https://shop.example'
const EVIL = 'http://evil.example'
/** A page under development: another port of this machine. */
const LOCAL = 'http://localhost:8080'

type Headers = Record<string, string>
const ports = { cos: 0, image: 0, control: 0 }
let cloud: TestCloud

beforeAll(async () => {
  cloud = await startTestCloud({ origins: [SHOP], hosts: new Map([['cdn.example', 80]]) })
  await cloud.upload('uploads/mug.jpg', await photo())
  for (const door of ['cos', 'image', 'control'] as const) ports[door] = Number(new URL(cloud[`${door}Url`]).port)
})
afterAll(() => cloud.close())

/** What must not change when a request is refused: a request to COS that gets further has an operation. */
function state() {
  const operations = cloud.cos.requests().filter(({ operation }) => operation !== '')
  return [cloud.cos.bill().length, cloud.scf.invocations().length, operations.length]
}

/** The query of a URL that anybody can sign, for the keys are in the README; for no host, as attackers would. */
function signed(input: Partial<SignInput> = {}): string {
  const { secretId: id, secretKey: secret } = CREDENTIALS
  return authorization({ method: 'GET', path: '/uploads/mug.jpg', id, secret, ...input })
}

function cos(headers: Headers, target = `/uploads/mug.jpg?${signed()}`, method = 'GET', body?: string): Promise<Reply> {
  const host = { Host: `127.0.0.1:${ports.cos}` }
  return sendRaw(ports.cos, method, target, { headers: { ...host, ...headers }, ...(body !== undefined && { body }) })
}

function image(headers: Headers, path = '/plain/uploads/mug.jpg', method = 'GET'): Promise<Reply> {
  return sendRaw(ports.image, method, path, { headers: { Host: `127.0.0.1:${ports.image}`, ...headers } })
}

/** COS says no in its own form, says how to allow it, lets no page read that, and does nothing. */
async function isRefused(how: string, ...request: Parameters<typeof cos>): Promise<void> {
  const before = state()
  const reply = await cos(...request)
  expect([reply.status, element(reply, 'Code')]).toEqual([403, 'AccessDenied'])
  expect(element(reply, 'Message')).toContain(how)
  expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
  expect(state()).toEqual(before)
}

async function isRefusedByImage(how: string, ...request: Parameters<typeof image>): Promise<void> {
  const before = state()
  const reply = await image(...request)
  const said = { errorCode: 1, errorMessage: expect.stringContaining(how) }
  expect([reply.status, JSON.parse(reply.text)]).toEqual([403, said])
  expect(reply.headers['access-control-allow-origin']).toBeUndefined()
  expect(state()).toEqual(before)
}

describe('DNS rebinding: a name that leads here all of a sudden is refused', () => {
  it.each([
    'evil.example',
    'evil.example:4510',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil-localhost',
    'a.b.localhost',
    '127.0.0.1:4510@evil.example',
    '0.0.0.0',
    '10.0.0.1',
    `${BUCKET}.cos.${REGION}.myqcloud.com.evil.example`,
    `${BUCKET}.cos.${REGION}.evil.example`,
    `${BUCKET}.cos.${REGION}xmyqcloud.com`,
    'service.cos.evil.example',
    'service.cos.myqcloud.com.evil.example',
    'xcdn.example',
  ])('Host: %s', async (host) => {
    await isRefused('--host', { Host: host })
    await isRefusedByImage('--host', { Host: host })
    const { status } = await sendRaw(ports.control, 'GET', '/api/bill', { headers: { Host: host } })
    expect(status).toBe(403)
  })

  it('also as the target of a proxy', async () => {
    await isRefused('--host', {}, `http://evil.example/uploads/mug.jpg?${signed()}`)
  })

  it.each([
    ['127.0.0.1', 200],
    ['localhost:4510', 200],
    ['LOCALHOST', 200],
    ['[::1]:4510', 200],
    [`${BUCKET}.localhost:4510`, 200],
    [`${BUCKET}.cos.${REGION}.myqcloud.com`, 200],
    [`${BUCKET}.pic.${REGION}.myqcloud.com`, 200],
    [`${BUCKET}.cos-internal.${REGION}.tencentcos.cn`, 200],
    ['cdn.example', 200],
    [`others-1250000000.cos.${REGION}.myqcloud.com`, 404],
    ['others-1250000000.localhost', 404],
    [`${BUCKET}.ci.${REGION}.myqcloud.com`, 501],
    ['service.cos.myqcloud.com', 501],
  ])('Host: %s is one of the local cloud’s names: %i', async (host, status) => {
    expect((await cos({ Host: host })).status).toBe(status)
  })

  it('the image port has its names, too', async () => {
    for (const host of ['localhost', '[::1]', 'cdn.example']) expect((await image({ Host: host })).status).toBe(302)
  })
})

describe('CSRF: a page of another origin is refused, be its signature right', () => {
  const foreign = [
    EVIL,
    'https://evil.example:4510',
    'null',
    '',
    'file://',
    'http://127.0.0.1',
    'http://127.0.0.1:1',
    LOCAL,
    'https://shop.example.evil.example',
    'http://shop.example',
    'https://shop.example:8443',
  ]
  it.each(foreign)('Origin: %s', async (origin) => {
    await isRefused('--origin', { Origin: origin })
    await isRefused('--origin', { Origin: origin, Authorization: signed() }, '/uploads/mug.jpg')
    await isRefusedByImage('--origin', { Origin: origin })
    const { status } = await sendRaw(ports.control, 'POST', '/api/reset', {
      headers: { Host: `127.0.0.1:${ports.control}`, Origin: origin },
    })
    expect([status, await cloud.keys('uploads/')]).toEqual([403, ['uploads/mug.jpg']])
  })

  it('at a port like one of the local cloud’s, or with a Referer that is not its own', async () => {
    await isRefused('--origin', { Origin: `http://evil.example:${ports.cos}` })
    await isRefused('--origin', { Origin: EVIL, Referer: `${SHOP}/` })
  })

  it('lists, reads, puts and deletes nothing, by no simple request', async () => {
    await isRefused('--origin', { Origin: EVIL }, `/?${signed({ path: '/' })}`)
    for (const method of ['PUT', 'POST', 'DELETE']) {
      const key = { method, path: '/uploads/mug.jpg' }
      await isRefused('--origin', { Origin: EVIL }, `/uploads/mug.jpg?${signed(key)}`, method, 'x')
    }
    expect(await cloud.bytes('uploads/mug.jpg')).toEqual(await photo())
  })

  it('fetches nothing from this machine by detect-url', async () => {
    let asked = 0
    const server = createServer((_, response) => response.end(String(++asked))).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const query = {
      'ci-process': 'GoodsMatting',
      'detect-url': `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    }
    const target = `/?${new URLSearchParams(query)}&${signed({ path: '/', query })}`
    await isRefused('--origin', { Origin: EVIL }, target)
    await isRefused('--origin', { 'Sec-Fetch-Site': 'cross-site' }, target)
    await isRefused('--host', { Host: 'evil.example' }, target)
    expect(asked).toBe(0)
    expect((await cos({ Host: 'localhost' }, target)).status).toBe(400)
    expect(asked).toBe(1)
  })

  it('is told so before the signature is looked at', async () => {
    await isRefused('--origin', { Origin: EVIL }, '/uploads/mug.jpg')
    await isRefused('--origin', { Origin: EVIL }, '/uploads/%zz')
  })

  it('gets no permission by a preflight', async () => {
    const asked = { 'Access-Control-Request-Method': 'DELETE', 'Access-Control-Request-Headers': 'authorization' }
    for (const origin of [EVIL, 'null']) {
      await isRefused('--origin', { ...asked, Origin: origin }, '/uploads/mug.jpg', 'OPTIONS')
      await isRefusedByImage('--origin', { ...asked, Origin: origin }, '/', 'OPTIONS')
    }
    const reply = await cos({ ...asked, Origin: SHOP }, '/uploads/mug.jpg', 'OPTIONS')
    expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([200, SHOP])
    expect(reply.headers['access-control-allow-methods']).toBe('DELETE')
  })
})

describe('what may ask', () => {
  it.each(['127.0.0.1', 'localhost', '[::1]', `${BUCKET}.localhost`])(
    'pages of the local cloud’s own ports, at %s',
    async (name) => {
      for (const port of Object.values(ports)) {
        const Origin = `http://${name}:${port}`
        const reply = await cos({ Origin })
        expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([200, Origin])
        expect(reply.headers.vary).toBe('Origin')
        expect((await image({ Origin })).status).toBe(302)
      }
      // Their scheme is http.
      await isRefused('--origin', { Origin: `https://${name}:${ports.cos}` })
    },
  )

  it('a page that --origin names; what the image function tells any page stays its own', async () => {
    const reply = await cos({ Origin: SHOP })
    expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([200, SHOP])
    const led = await image({ Origin: SHOP })
    expect([led.status, led.headers['access-control-allow-origin']]).toEqual([302, '*'])
  })

  it('but the control API only its own page', async () => {
    const ask = (Origin: string) =>
      sendRaw(ports.control, 'GET', '/api/bill', { headers: { Host: `localhost:${ports.control}`, Origin } })
    expect((await ask(`http://localhost:${ports.control}`)).status).toBe(200)
    for (const origin of [SHOP, `http://127.0.0.1:${ports.cos}`]) expect((await ask(origin)).status).toBe(403)
  })

  it('a page that was led from the image port to COS, for which browsers say null: known by its Referer', async () => {
    for (const page of [SHOP, `http://127.0.0.1:${ports.control}`]) {
      const reply = await cos({ Origin: 'null', Referer: `${page}/` })
      expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([200, 'null'])
    }
    for (const page of [EVIL, LOCAL, 'not a URL']) await isRefused('--origin', { Origin: 'null', Referer: `${page}/` })
  })
})

describe('requests that ask for no permission to read: <img>, <script>, a link', () => {
  const embedded = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }

  it.each<[string, Headers]>([
    ['that hides where it is from', {}],
    ['of another site', { Referer: `${EVIL}/` }],
    ['of another site named like this machine', { Referer: 'http://localhost.evil.example/' }],
  ])('a page %s embeds nothing', async (_, referer) => {
    await isRefused('--origin', { ...embedded, ...referer })
    await isRefusedByImage('--origin', { ...embedded, ...referer })
  })

  it.each<[string, Headers]>([
    [
      'a page under development at localhost, for which an image at 127.0.0.1 is another site’s',
      { Referer: `${LOCAL}/` },
    ],
    ['the same by https', { Referer: 'https://localhost:3000/' }],
    ['one that --origin names', { Referer: `${SHOP}/` }],
    ['a page at the same name that hides where it is from', { 'Sec-Fetch-Site': 'same-site' }],
    ['the address bar', { 'Sec-Fetch-Site': 'none' }],
  ])('%s goes on to show pictures', async (_, headers) => {
    expect((await cos({ ...embedded, ...headers })).status).toBe(200)
    expect((await image({ ...embedded, ...headers })).status).toBe(302)
  })
})
