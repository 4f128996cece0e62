import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cos, type Key, startCos } from '../local/cos/cos.ts'
import { parsePolicy } from '../local/cos/policy.ts'
import { createFaults } from '../local/faults.ts'
import {
  AT,
  BUCKET,
  client,
  cut,
  element,
  ID,
  REGION,
  type Reply,
  SECRET,
  type Sent,
  send,
  sendRaw,
} from './helpers/cos.ts'

const dir = mkdtempSync(join(tmpdir(), 'settings-'))
const keys = new Map<string, Key>([[ID, { secret: SECRET }]])
let cos: Cos
const start = async () => {
  cos = await startCos({
    dir,
    port: 0,
    bucket: BUCKET,
    region: REGION,
    keys,
    cut,
    faults: createFaults(),
    onEvent: () => {},
  })
}
beforeAll(start)
afterAll(async () => {
  await cos.close()
  rmSync(dir, { recursive: true, force: true })
})

const ask = (method: string, setting: string, sent: Sent = {}) =>
  send(cos.port, method, '', { ...sent, query: { [setting]: '' } })
const page = (method: string, headers: Record<string, string>) => sendRaw(cos.port, method, '/a.png', { headers })
const read = ({ headers }: Reply, name: string) => headers[name]

const SHOP = 'https://shop.example'

describe('?cors', () => {
  const rules = {
    ...AT,
    CORSRules: [
      {
        ID: 'shop',
        AllowedOrigin: [SHOP],
        AllowedMethod: ['GET', 'PUT'],
        AllowedHeader: ['x-cos-*', 'content-type'],
        ExposeHeader: ['ETag', 'x-cos-request-id'],
        MaxAgeSeconds: 300,
      },
      { AllowedOrigin: ['*'], AllowedMethod: ['GET'], AllowedHeader: [] },
    ],
    ResponseVary: 'true' as const,
  }

  it('is not there until it is put; without it, any page that may ask at all is answered', async () => {
    const missing = await ask('GET', 'cors')
    expect([missing.status, element(missing, 'Code')]).toEqual([404, 'NoSuchCORSConfiguration'])
    const own = `http://localhost:${cos.port}`
    expect(read(await page('GET', { origin: own }), 'access-control-allow-origin')).toBe(own)
    expect((await page('GET', { origin: SHOP })).status).toBe(403)
    expect(read(await page('GET', { origin: SHOP }), 'access-control-allow-origin')).toBeUndefined()
  })

  it('gives back what the vendor’s client puts, whole, and after a restart', async () => {
    await client(cos).putBucketCors(rules)
    await cos.close()
    await start()
    const { CORSRules, ResponseVary } = await client(cos).getBucketCors(AT)
    expect(ResponseVary).toBe('true')
    expect(CORSRules).toMatchObject([
      {
        ID: 'shop',
        AllowedOrigins: [SHOP],
        AllowedMethods: ['GET', 'PUT'],
        AllowedHeaders: ['x-cos-*', 'content-type'],
        ExposeHeaders: ['ETag', 'x-cos-request-id'],
        MaxAgeSeconds: '300',
      },
      { AllowedOrigins: ['*'], AllowedMethods: ['GET'] },
    ])
  })

  it('answers a preflight by the first rule that fits, and refuses all others', async () => {
    const preflight = (origin: string, method: string, names?: string) =>
      page('OPTIONS', {
        origin,
        'access-control-request-method': method,
        ...(names && { 'access-control-request-headers': names }),
      })
    const allowed = await preflight(SHOP, 'PUT', 'Content-Type, x-cos-meta-a')
    expect([allowed.status, allowed.headers]).toMatchObject([
      200,
      {
        'access-control-allow-origin': SHOP,
        'access-control-allow-methods': 'GET,PUT',
        'access-control-allow-headers': 'Content-Type, x-cos-meta-a',
        'access-control-expose-headers': 'ETag,x-cos-request-id',
        'access-control-max-age': '300',
        vary: 'Origin',
      },
    ])
    for (const refused of [
      await preflight(SHOP, 'DELETE'),
      await preflight(SHOP, 'PUT', 'content-type, authorization'),
    ])
      expect([refused.status, element(refused, 'Code'), read(refused, 'access-control-allow-origin')]).toEqual([
        403,
        'AccessForbidden',
        undefined,
      ])
    expect((await preflight('https://shop.example.evil.example', 'PUT')).status).toBe(403)
  })

  it('tells the page of a simple request what it may read, also of an error; another gets no such header', async () => {
    const { headers } = await page('GET', { origin: SHOP })
    expect(headers).toMatchObject({
      'access-control-allow-origin': SHOP,
      'access-control-expose-headers': 'ETag,x-cos-request-id',
      vary: 'Origin',
    })
    const own = `http://localhost:${cos.port}`
    expect(read(await page('GET', { origin: own }), 'access-control-allow-origin')).toBe('*')
    expect(read(await page('DELETE', { origin: own }), 'access-control-allow-origin')).toBeUndefined()
    // Who asks for a picture without an origin must not spoil the cache for who has one.
    expect(read(await page('GET', {}), 'vary')).toBe('Origin')
  })

  it('a rule for any origin opens it to no page that does not belong here: its keys are known to everybody', async () => {
    expect((await page('GET', { origin: 'https://evil.example' })).status).toBe(403)
    expect(read(await page('GET', { origin: 'https://evil.example' }), 'access-control-allow-origin')).toBeUndefined()
  })

  it('says nothing of Vary without ResponseVary, and is gone once deleted', async () => {
    await client(cos).putBucketCors({ ...AT, CORSRules: rules.CORSRules })
    expect(read(await page('GET', { origin: SHOP }), 'vary')).toBeUndefined()
    expect((await ask('DELETE', 'cors')).status).toBe(204)
    expect((await ask('GET', 'cors')).status).toBe(404)
    expect((await page('GET', { origin: SHOP })).status).toBe(403)
  })

  const rule = (text: string) => `<CORSConfiguration><CORSRule>${text}</CORSRule></CORSConfiguration>`
  const least = '<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>'
  it.each([
    ['no XML', '<CORS', 'MalformedXML'],
    ['another document', '<LifecycleConfiguration/>', 'MalformedXML'],
    ['no rule', '<CORSConfiguration/>', 'MalformedXML'],
    ['a rule without a method', rule('<AllowedOrigin>*</AllowedOrigin>'), 'MalformedXML'],
    ['an unknown element', rule(`${least}<MaxAge>1</MaxAge>`), 'MalformedXML'],
    ['an unknown method', rule(`${least}<AllowedMethod>PATCH</AllowedMethod>`), 'InvalidArgument'],
    ['a wildcard to be exposed', rule(`${least}<ExposeHeader>*</ExposeHeader>`), 'InvalidArgument'],
    [
      '101 rules',
      `<CORSConfiguration>${`<CORSRule>${least}</CORSRule>`.repeat(101)}</CORSConfiguration>`,
      'MalformedXML',
    ],
  ])('refuses %s', async (_, body, code) => {
    expect(element(await ask('PUT', 'cors', { body }), 'Code')).toBe(code)
  })
})

describe('?lifecycle', () => {
  const claims = {
    ID: 'claims',
    Status: 'Enabled' as const,
    Filter: { Prefix: '.matting/claims/a&b' },
    Expiration: { Days: '2' },
  }
  const parts = {
    ID: 'parts',
    Status: 'Disabled' as const,
    Filter: { Prefix: '' },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: '3' },
  }

  it('gives back what the vendor’s client puts; another PUT replaces all of it, so one has to read and merge', async () => {
    const missing = await ask('GET', 'lifecycle')
    expect([missing.status, element(missing, 'Code')]).toEqual([404, 'NoSuchLifecycleConfiguration'])
    await client(cos).putBucketLifecycle({ ...AT, Rules: [claims, parts] })
    const { Rules } = await client(cos).getBucketLifecycle(AT)
    expect(Rules).toMatchObject([claims, { ...parts, Filter: {} }])
    await client(cos).putBucketLifecycle({ ...AT, Rules: [parts] })
    expect((await client(cos).getBucketLifecycle(AT)).Rules).toMatchObject([{ ID: 'parts' }])
    await cos.close()
    await start()
    expect((await client(cos).getBucketLifecycle(AT)).Rules).toHaveLength(1)
    expect((await ask('DELETE', 'lifecycle')).status).toBe(204)
    expect((await ask('GET', 'lifecycle')).status).toBe(404)
  })

  const rule = (text: string) => `<LifecycleConfiguration><Rule>${text}</Rule></LifecycleConfiguration>`
  const least = '<Filter/><Status>Enabled</Status>'
  it.each([
    ['no rule', '<LifecycleConfiguration/>', 'MalformedXML'],
    ['a rule without a status', rule('<Filter/><Expiration><Days>1</Days></Expiration>'), 'MalformedXML'],
    ['a rule that does nothing', rule(least), 'MalformedXML'],
    ['an unknown action', rule(`${least}<Delete/>`), 'MalformedXML'],
    [
      'both days and a date',
      rule(`${least}<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>`),
      'InvalidArgument',
    ],
    ['days that are no number', rule(`${least}<Expiration><Days>-1</Days></Expiration>`), 'InvalidArgument'],
    [
      'an ID twice',
      `<LifecycleConfiguration>${`<Rule><ID>a</ID>${least}<Expiration><Days>1</Days></Expiration></Rule>`.repeat(2)}</LifecycleConfiguration>`,
      'InvalidArgument',
    ],
  ])('refuses %s', async (_, body, code) => {
    expect(element(await ask('PUT', 'lifecycle', { body }), 'Code')).toBe(code)
  })
})

describe('permissions', () => {
  it.each([
    ['GET', 'cors', 'cos:GetBucketCORS'],
    ['GET', 'lifecycle', 'cos:GetBucketLifecycle'],
    ['GET', 'versioning', 'cos:GetBucketVersioning'],
    ['DELETE', 'cors', 'cos:DeleteBucketCORS'],
    ['DELETE', 'lifecycle', 'cos:DeleteBucketLifecycle'],
    ['PUT', 'cors', 'cos:PutBucketCORS'],
    ['PUT', 'lifecycle', 'cos:PutBucketLifecycle'],
    ['PUT', 'versioning', 'cos:PutBucketVersioning'],
  ])('%s ?%s needs %s, and no other will do', async (method, setting, action) => {
    const policy = (name: string) =>
      parsePolicy({ version: '2.0', statement: [{ effect: 'allow', action: name, resource: '*' }] })
    const signed = { id: 'AKIDOTHER', secret: SECRET }
    keys.set(signed.id, { secret: SECRET, policy: policy(`${action}x`) })
    expect((await ask(method, setting, signed)).status).toBe(403)
    keys.set(signed.id, { secret: SECRET, policy: policy(action) })
    expect((await ask(method, setting, signed)).status).not.toBe(403)
  })
})

// Last: it cannot be undone.
describe('?versioning', () => {
  const once = async () =>
    (await send(cos.port, 'PUT', 'claim', { body: 'x', headers: { 'x-cos-forbid-overwrite': 'true' } })).status
  const put = (status: string) =>
    ask('PUT', 'versioning', { body: `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>` })

  it('tells no status while it was never on; once it was, x-cos-forbid-overwrite forbids nothing, even when suspended', async () => {
    expect(element(await ask('GET', 'versioning'), 'Status')).toBeUndefined()
    expect((await client(cos).getBucketVersioning(AT)).VersioningConfiguration.Status).toBeUndefined()
    expect([await once(), await once()]).toEqual([200, 409])
    expect(element(await put('On'), 'Code')).toBe('InvalidDigest')
    expect(element(await ask('PUT', 'versioning'), 'Code')).toBe('InvalidArgument')
    expect(await once()).toBe(409)
    for (const status of ['Enabled', 'Suspended']) {
      expect((await put(status)).status).toBe(200)
      expect(element(await ask('GET', 'versioning'), 'Status')).toBe(status)
      expect([await once(), await once()]).toEqual([200, 200])
    }
  })
})
