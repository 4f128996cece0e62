import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type ImageInvocation, image } from '../functions/image/image.ts'
import { readConfig } from '../lib/config.ts'
import { MattingError } from '../lib/errors.ts'
import { errorFields } from '../lib/log.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import { createFunction, type FunctionOptions, type InvocationRecord } from '../local/scf/function.ts'
import { held, photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'

// The built functions, called with events that the local cloud would not make.
let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud.close())

function handler(
  name: 'upload' | 'image',
  environment: Record<string, string> = {},
  options: Partial<FunctionOptions> = {},
) {
  const runs: InvocationRecord[] = []
  const { invoke, kill } = createFunction({
    spec: {
      name,
      handler: `${name}.main_handler`,
      timeout: 30,
      memory: 256,
      environment: {
        COS_BUCKET: 'photos-1250000000',
        COS_REGION: 'ap-guangzhou',
        COS_ENDPOINT: cloud.cosUrl,
        CLAIM_TIME: '6',
        ...environment,
      },
    },
    dist: new URL('../dist/', import.meta.url),
    instances: 1,
    role: () => ({ TENCENTCLOUD_SECRETID: CREDENTIALS.secretId, TENCENTCLOUD_SECRETKEY: CREDENTIALS.secretKey }),
    skew: () => 0,
    clock: cloud.clock,
    onInvocation: (run) => runs.push(run),
    ...options,
  })
  onTestFinished(() => kill())
  const lines = () => runs.flatMap(({ logs }) => logs).map((line) => JSON.parse(line))
  return { invoke, lines }
}

function record(key: string, eventName = 'cos:ObjectCreated:Put', name = 'photos') {
  return {
    cos: {
      cosObject: { key, size: 1 },
      cosBucket: { region: 'gz', name, appid: '1250000000' },
      cosNotificationId: 'unkown',
    },
    event: { eventName, requestParameters: { requestHeaders: { Authorization: 'q-signature=x' } } },
  }
}

async function putQuietly(key: string) {
  cloud.faults.set([{ on: 'Event', kind: 'drop' }])
  await cloud.bucket.put(key, await photo(), { type: 'image/jpeg' })
  cloud.faults.set([])
}

describe('upload', () => {
  it('handles every record; one that cannot be read spoils none and is not lost', async () => {
    await cloud.reset()
    await putQuietly('uploads/a.jpg')
    await putQuietly('uploads/B.JPEG')
    const { invoke, lines } = handler('upload')
    const Records = [
      record('/1250000000/photos/uploads/a.jpg'),
      record('unreadable'),
      7,
      record('/1250000000/photos/uploads/B.JPEG'),
    ]
    await expect(invoke({ Records })).rejects.toThrow('not one that COS sends')
    expect(cloud.cos.bill().map(({ source }) => source)).toEqual(['uploads/a.jpg', 'uploads/B.JPEG'])
    await expect.poll(() => lines().map(({ outcome }) => outcome)).toEqual(['cut', 'failed', 'failed', 'cut', 'thrown'])
  })

  it.each([
    [record('/1250000000/other/uploads/a.jpg', undefined, 'other'), 'another bucket'],
    [record('/1250000000/photos/elsewhere/a.jpg'), 'not in a source folder'],
    [record('/1250000000/photos/uploads/gone.jpg'), 'not there any more'],
  ])('skips %#', async (one, why) => {
    const { invoke, lines } = handler('upload')
    await invoke({ Records: [one] })
    await expect.poll(() => lines()).toMatchObject([{ outcome: 'skipped', why }])
  })

  it('leaves alone what it does not know, and refuses what is no event', async () => {
    const { invoke, lines } = handler('upload')
    await invoke({ Records: [record('/1250000000/photos/uploads/a.jpg', 'cos:ObjectRestore:Completed')] })
    expect(lines()).toEqual([])
    for (const event of [{}, { Records: 1 }, 'x']) await expect(invoke(event)).rejects.toThrow('not one that COS sends')
  })

  it('does not take a missing bucket for a deleted photo: the event is not lost', async () => {
    const server = createServer(
      (_, response) =>
        void response.writeHead(404, { 'x-cos-request-id': 'a' }).end('<Error><Code>NoSuchBucket</Code></Error>'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => server.close().closeAllConnections())
    const { invoke } = handler('upload', { COS_ENDPOINT: `http://127.0.0.1:${Object(server.address()).port}` })
    const Records = [record('/1250000000/photos/uploads/a.jpg')]
    await expect(invoke({ Records })).rejects.toThrow('There is no such bucket')
  })

  it('pays once for layouts that are the same by two names, and for nothing where there are none', async () => {
    await cloud.reset()
    await putQuietly('uploads/a.jpg')
    const { invoke } = handler('upload', { PRESETS: 'plain=; same=', ON_UPLOAD: 'uploads/=plain,same' })
    await invoke({ Records: [record('/1250000000/photos/uploads/a.jpg')] })
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('a photo replaced while it is cut out leaves no cutout under the wrong name', async () => {
    await cloud.reset()
    await putQuietly('uploads/a.jpg')
    const before = (await cloud.bucket.head('uploads/a.jpg'))?.etag
    cloud.faults.set([
      { on: 'GoodsMatting', kind: 'hold', times: 1 },
      { on: 'Event', kind: 'drop' },
    ])
    const { invoke } = handler('upload')
    const Records = [record('/1250000000/photos/uploads/a.jpg')]
    const first = expect(invoke({ Records })).rejects.toThrow('changed meanwhile')
    await held(cloud)
    await cloud.bucket.put('uploads/a.jpg', await photo('#2040b0'), { type: 'image/jpeg' })
    cloud.faults.release()
    await first
    await invoke({ Records })
    const [cutout, ...more] = await cloud.keys('cutouts/')
    expect(more).toEqual([])
    expect(cutout).not.toContain(before)
  })
})

describe('image', () => {
  it('reads Lambda’s function-URL event too', async () => {
    await cloud.reset()
    await putQuietly('uploads/a.jpg')
    const { invoke } = handler('image')
    const event = {
      rawPath: '/plain/uploads/a.jpg',
      rawQueryString: 'x=1',
      requestContext: { http: { method: 'GET' } },
    }
    expect(await invoke(event)).toMatchObject({ statusCode: 302 })
  })

  it.each([
    [{}, 400],
    [{ httpMethod: 'GET' }, 400],
    [{ httpMethod: 'TRACE', path: '/plain/uploads/a.jpg' }, 405],
    [{ httpMethod: 'GET', path: '/plain/uploads/\ud800.jpg' }, 400],
    [{ httpMethod: 'GET', path: '/plain/uploads/..%2Fother%2Fa.jpg' }, 404],
    [
      {
        httpMethod: 'GET',
        path: '/plain/uploads/nope.jpg',
        headers: { referer: 'https://x/红', ':authority': 'x', 'If-None-Match': '红' },
      },
      400,
    ],
    [
      { httpMethod: 'GET', path: '/plain/uploads/nope.jpg', headers: { referer: 'https://x/红', ':authority': 'x' } },
      404,
    ],
  ])('answers %j with %i', async (event, statusCode) => {
    expect(await handler('image').invoke(event)).toMatchObject({ statusCode })
  })

  it('leaves a line for what costs money, and none for a hit or a refusal', async () => {
    await cloud.reset()
    await putQuietly('uploads/a.jpg')
    const { invoke, lines } = handler('image')
    const ask = (path: string) => invoke({ httpMethod: 'GET', path })
    expect(await ask('/plain/uploads/a.jpg')).toMatchObject({ headers: { 'x-matting': 'made' } })
    expect(await ask('/plain/uploads/a.jpg')).toMatchObject({ headers: { 'x-matting': 'hit' } })
    await ask('/nope/uploads/a.jpg')
    await expect
      .poll(() => lines())
      .toEqual([{ function: 'image', path: '/plain/uploads/a.jpg', outcome: 'made', paid: 1 }])
  })

  it('obeys a variable that changes under a warm instance, which forgets what it knew', async () => {
    await cloud.reset()
    await putQuietly('uploads/a.jpg')
    let CUTOUT_PREFIX = 'cutouts/'
    const { secretId, secretKey } = CREDENTIALS
    const role = () => ({ TENCENTCLOUD_SECRETID: secretId, TENCENTCLOUD_SECRETKEY: secretKey, CUTOUT_PREFIX })
    const { invoke } = handler('image', { DELIVERY_URL: 'https://cdn.example' }, { variables: 'context', role })
    const ask = async () => Object(await invoke({ httpMethod: 'GET', path: '/plain/uploads/a.jpg' })).headers
    expect(await ask()).toMatchObject({ 'x-matting': 'made' })
    const calls = cloud.cos.requests().length
    expect(await ask()).toMatchObject({ 'x-matting': 'hit' })
    expect(cloud.cos.requests()).toHaveLength(calls)
    CUTOUT_PREFIX = 'made/'
    expect(await ask()).toMatchObject({ location: expect.stringMatching(/^https:\/\/cdn\.example\/made\//) })
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('is not open to what lies outside the source folders, nor to cutouts', async () => {
    await cloud.reset()
    for (const key of ['other/a.jpg', 'uploads/x/0123456789abcdef-plain.png']) {
      await putQuietly(key)
      expect((await cloud.image(`/plain/${key}`)).status).toBe(404)
    }
    expect(cloud.cos.bill()).toEqual([])
  })
})

describe('promise 6, with the clock in hand', () => {
  const config = (extra: Record<string, string>) =>
    readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou', COS_ENDPOINT: cloud.cosUrl, ...extra })

  async function at(now: number, extra: Record<string, string>, known: ImageInvocation['known'] = new Map()) {
    const parts = {
      config: config(extra),
      cos: { ...cloud.bucket, clock: () => now },
      store: cloud.bucket,
      now: () => now,
      random: () => 0,
      uuid: () => 'id',
      steady: () => now,
      deadline: Number.POSITIVE_INFINITY,
      spent: { ms: new Map(), calls: 0 },
      lookAt: async () => undefined,
      known,
    }
    const { headers } = await image(new Request('http://function/plain/uploads/a.jpg'), parts)
    const url = new URL(headers.location ?? '')
    const [start = 0, end = 0] = (url.searchParams.get('q-sign-time') ?? '').split(';').map(Number)
    return {
      url: url.href,
      start,
      end,
      maxAge: Number(/\d+/.exec(headers['cache-control'] ?? '')?.[0]),
      now: now / 1000,
    }
  }

  it('gives everybody in a window the same URL, valid from before it until well after max-age', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    const window = 900
    const begin = Math.floor(Date.now() / 1000 / window) * window * 1000
    const first = await at(begin, { REDIRECT_TTL: '86400' })
    const last = await at(begin + 899_000, { REDIRECT_TTL: '86400' })
    const next = await at(begin + 900_000, { REDIRECT_TTL: '86400' })
    expect(last.url).toBe(first.url)
    expect(next.url).not.toBe(first.url)
    for (const one of [first, last, next]) {
      expect(one.start).toBeLessThanOrEqual(one.now - 300)
      expect(one.now + one.maxAge).toBeLessThan(one.end)
      expect(one.maxAge).toBeGreaterThan(window / 2)
    }
    expect((await at(begin, { REDIRECT_TTL: '60' })).maxAge).toBe(60)
  })

  it('a redirect that an instance has known for a part of a second is cached for a whole one less', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    const begin = Math.floor(Date.now() / 900_000) * 900_000
    const known: ImageInvocation['known'] = new Map()
    const ages: number[] = []
    for (const after of [0, 1, 1_000, 1_001, 59_001])
      ages.push(60 - (await at(begin + after, { REDIRECT_TTL: '60' }, known)).maxAge)
    expect(ages).toEqual([0, 1, 1, 2, 60])
  })
})

describe('promise 5', () => {
  it('an unknown error keeps its text out of answers and logs', () => {
    const error = MattingError.from(new Error('q-signature=x'))
    expect(JSON.stringify([error.message, errorFields(error)])).not.toContain('q-signature')
  })
})

it('an event survives the end of the local cloud', async () => {
  const data = await mkdtemp(join(tmpdir(), 'cloud-'))
  onTestFinished(() => rm(data, { recursive: true, force: true }))
  const first = await startTestCloud({ data })
  first.faults.set([{ on: 'Event', kind: 'delay', ms: 60_000 }])
  await first.bucket.put('uploads/a.jpg', await photo(), { type: 'image/jpeg' })
  await first.stop()
  const second = await startTestCloud({ data })
  onTestFinished(() => second.close())
  await second.scf.idle()
  expect(await second.keys('cutouts/')).toHaveLength(1)
})
