import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createCos } from '../lib/cos.ts'
import { paid } from '../lib/paid.ts'
import { startTestCloud } from './helpers/cloud.ts'
import { against, credentials, error, OBJECT, rules, status, time } from './helpers/fake.ts'
import { createSeed } from './helpers/seed.ts'

describe('a paid call', () => {
  it.each([
    [200, error('InternalError'), 'unknown-outcome'],
    [200, error('SlowDown'), 'unknown-outcome'],
    [
      500,
      '<Error><Code>InternalError</Code><Message>No.</Message><Resource>/expired-milk.jpg</Resource></Error>',
      'unknown-outcome',
    ],
    [
      403,
      '<Error><Code>AccessDenied</Code><Message>No.</Message><Resource>/expired-milk.jpg</Resource></Error>',
      'denied',
    ],
    [200, error('InvalidImageFormat'), 'not-an-image'],
    [400, error('InvalidImageFormat'), 'not-an-image'],
    [400, '{"code":"InvalidImageFormat","message":"x"}', 'not-an-image'],
    [400, error('InvalidImageSource'), 'not-an-image'],
    [400, error('ImageTooLarge'), 'too-large'],
    [400, error('ImageResolutionExceed'), 'too-large'],
    [400, error('EntityTooLarge'), 'too-large'],
    [400, error('InvalidPicOperations'), 'refused'],
    [400, error('ExpiredToken'), 'unavailable'],
    [402, error('PaymentRequired'), 'denied'],
    [403, error('NoProcessAuthority'), 'denied'],
    [403, error('RequestTimeTooSkewed'), 'unavailable'],
    [403, '<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>', 'unavailable'],
    [404, error('NoSuchKey'), 'changed'],
    [409, error('PathConflict'), 'unknown-outcome'],
    [429, '', 'busy'],
    [451, error('UnavailableForLegalReasons'), 'denied'],
    [500, error('InternalError'), 'unknown-outcome'],
    [502, '<', 'unknown-outcome'],
    [502, 'upstream <error', 'unknown-outcome'],
    [503, error('SlowDown'), 'busy'],
    [503, error('ServiceUnavailable'), 'unknown-outcome'],
  ])('answered %i %s is %s, and sent once', async (code, body, expected) => {
    const { cos, seen } = await against(status(code, body))
    await expect(cos[paid].process('a.jpg', rules, time())).rejects.toMatchObject({ code: expected })
    expect(seen).toHaveLength(1)
  })

  it('cut off, or without an answer in time, has an unknown outcome', async () => {
    const cut = await against((request) => void request.socket.destroy())
    await expect(cut.cos[paid].process('a.jpg', rules, time())).rejects.toMatchObject({ code: 'unknown-outcome' })
    const silent = await against(() => {})
    const short = { until: Date.now() + 30_000, deadline: Date.now() + 1_500 }
    await expect(silent.cos[paid].process('a.jpg', rules, short)).rejects.toMatchObject({ code: 'unknown-outcome' })
    expect([cut.seen.length, silent.seen.length]).toEqual([1, 1])
  })

  it('that found nobody was not sent', async () => {
    const cos = createCos({
      endpoint: 'http://127.0.0.1:1',
      credentials,
      deadline: Date.now() + 5_000,
      now: Date.now,
      random: () => 0,
    })
    await expect(cos[paid].process('a.jpg', rules, time())).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('promise 4: signs host, image_process and Pic-Operations, on a connection of its own', async () => {
    const { cos, seen } = await against(status(200, '<UploadResult><OriginalInfo/></UploadResult>'))
    await cos.head('a.jpg')
    await cos[paid].process('a/../b 红.jpg', rules, time())
    const [head, post] = seen
    expect(head?.headers.connection).toBe('keep-alive')
    expect(post?.headers.connection).toBe('close')
    expect(post?.headers.authorization).toContain('&q-header-list=host;pic-operations&q-url-param-list=image_process&')
    expect(post?.url).toBe('/a/../b%20%E7%BA%A2.jpg?image_process=')
    expect(JSON.parse(String(post?.headers['pic-operations']))).toEqual({ rules })
    expect(post?.headers['content-length']).toBe('0')
  })
})

describe('a free call', () => {
  it.each([429, 500, 503])('is repeated after %i', async (code) => {
    const { cos, seen } = await against((request, response, n) => status(n < 3 ? code : 200)(request, response, n))
    expect(await cos.head('a.jpg')).toMatchObject({ etag: OBJECT.etag.slice(1, -1) })
    expect(seen).toHaveLength(3)
  })

  it('is given up after three, or when the time is over', async () => {
    const { cos, seen } = await against(status(500))
    await expect(cos.head('a.jpg')).rejects.toMatchObject({ code: 'unavailable' })
    expect(seen).toHaveLength(3)
    const late = await against(status(500), 0)
    await expect(late.cos.head('a.jpg')).rejects.toMatchObject({ code: 'unavailable' })
    expect(late.seen.length).toBeLessThanOrEqual(1)
    const silent = await against(() => {}, 300)
    await expect(silent.cos.head('a.jpg')).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('fails when its answer breaks off, or never ends', async () => {
    const broken = await against((_, response) => {
      response.writeHead(200, { ...OBJECT, 'content-length': '100' }).write('x')
      setTimeout(() => response.destroy(), 20)
    })
    await expect(broken.cos.get('a.jpg')).rejects.toMatchObject({ code: 'unavailable' })
    const endless = await against(status(200, Buffer.alloc(9 * 1024 * 1024)))
    await expect(endless.cos.get('a.jpg')).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('takes 403 for no "not there"', async () => {
    await expect((await against(status(403))).cos.head('a.jpg')).rejects.toMatchObject({
      code: 'denied',
      retryable: true,
    })
    expect(await (await against(status(404))).cos.head('a.jpg')).toBeUndefined()
  })

  it('tells a missing bucket from a missing object where there is a body to tell', async () => {
    await expect((await against(status(404, error('NoSuchBucket')))).cos.get('a')).rejects.toMatchObject({
      code: 'misconfigured',
    })
    expect(await (await against(status(404, error('NoSuchKey')))).cos.get('a')).toBeUndefined()
  })

  it('forbid-overwrite is never repeated: its own lost answer would look like a loser’s', async () => {
    const { cos, seen } = await against(status(500))
    await expect(cos.put('a', 'x', { type: 'text/plain', forbidOverwrite: true })).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(seen).toHaveLength(1)
    expect(seen[0]?.headers.connection).toBe('close')
    const taken = await against(status(409))
    expect(await taken.cos.put('a', 'x', { type: 'text/plain', forbidOverwrite: true })).toBe(false)
    expect(await (await against(status(404, error('NoSuchKey')))).cos.delete('a')).toBeUndefined()
  })

  it('keeps the text of an error to itself, and the vendor’s code for the log', async () => {
    const { cos } = await against(
      status(403, '<Error><Code>AccessDenied</Code><Message>secret q-signature</Message></Error>'),
    )
    const thrown = await cos.get('a').catch((e: unknown) => e)
    expect(String(thrown)).not.toContain('secret')
    expect(Object(thrown).cause.message).toBe('COS answered 403 AccessDenied')
  })
})

describe('a presigned URL', () => {
  it('is signed for its host and its time', async () => {
    const { cos, endpoint } = await against(status(200))
    const url = new URL(cos.presign('a b.png', 100, 200))
    expect(url.origin).toBe(endpoint)
    expect(url.searchParams.get('q-header-list')).toBe('host')
    expect(url.searchParams.get('q-sign-time')).toBe('100;200')
  })
})

it('lists every page', async () => {
  const data = await mkdtemp(join(tmpdir(), 'listed-'))
  const seed = createSeed(data)
  const keys = Array.from({ length: 1_100 }, (_, i) => `list/${String(i).padStart(4, '0')} &<红+%.jpg`)
  for (const key of keys) seed.put(key, Buffer.from('x'), 'text/plain')
  const cloud = await startTestCloud({ data })
  onTestFinished(() => cloud.close())
  expect(await cloud.keys('list/')).toEqual(keys)
})
