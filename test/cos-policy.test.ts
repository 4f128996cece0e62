import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { allows, type Need, parsePolicy } from '../local/cos/policy.ts'
import {
  authorization,
  BUCKET,
  element,
  type Lab,
  type LabOptions,
  photo,
  REGION,
  type Reply,
  type Sent,
  send,
  sendRaw,
  startLab,
} from './helpers/cos.ts'

const OTHER = 'other-1250000000'
const COS = `qcs::cos:${REGION}:uid/1250000000:${BUCKET}`
const CI = `qcs::ci:${REGION}:uid/1250000000:bucket/${BUCKET}`

type Statement = [effect: 'allow' | 'deny', action: string | string[], resource: string | string[]]

function policy(...statements: Statement[]) {
  const statement = statements.map(([effect, action, resource]) => ({ effect, action, resource }))
  return parsePolicy({ version: '2.0', statement })
}

const get = (key: string, bucket = BUCKET): Need => ({ action: 'cos:GetObject', bucket, key })
const cut = (key: string): Need => ({ action: 'ci:CreateGoodsMattingJob', bucket: BUCKET, key })
const list: Need = { action: 'cos:GetBucket', bucket: BUCKET, key: '' }

describe('a policy', () => {
  test.each<[string, boolean, Need, Statement[]]>([
    ['nothing said', false, get('a'), []],
    ['allowed', true, get('a'), [['allow', 'name/cos:GetObject', `${COS}/a`]]],
    ['without name/', true, get('a'), [['allow', ['cos:GetObject'], [`${COS}/a`]]]],
    ['in other case', true, get('a'), [['allow', 'NAME/COS:getobject', `${COS}/a`]]],
    ['one of several', true, get('a'), [['allow', ['cos:PutObject', 'cos:GetObject'], [`${COS}/b`, `${COS}/a`]]]],
    [
      'of several statements',
      true,
      get('a'),
      [
        ['allow', 'cos:PutObject', '*'],
        ['allow', 'cos:GetObject', '*'],
      ],
    ],
    [
      'not put together from two',
      false,
      get('a'),
      [
        ['allow', 'cos:Get*', `${COS}/b`],
        ['allow', 'cos:Put*', '*'],
      ],
    ],
    ['another action', false, get('a'), [['allow', 'cos:HeadObject', `${COS}/a`]]],
    ['the beginning of its name', false, get('a'), [['allow', 'cos:GetObjec', '*']]],
    ['more than its name', false, get('a'), [['allow', 'cos:GetObjectACL', '*']]],
    ['another key', false, get('a'), [['allow', 'cos:GetObject', `${COS}/b`]]],
    ['a key in other case', false, get('A'), [['allow', 'cos:GetObject', `${COS}/a`]]],
    ['a longer key', false, get('ab'), [['allow', 'cos:GetObject', `${COS}/a`]]],
    ['a shorter key', false, get('a'), [['allow', 'cos:GetObject', `${COS}/ab`]]],
    ['a prefix', true, get('uploads/x/y.jpg'), [['allow', 'cos:GetObject', `${COS}/uploads/*`]]],
    ['another prefix', false, get('cutouts/uploads/y.jpg'), [['allow', 'cos:GetObject', `${COS}/uploads/*`]]],
    ['a pattern within', true, get('a/b/c.png'), [['allow', 'cos:GetObject', `${COS}/a*c.png`]]],
    ['a line break under a wildcard', true, get('a\nb'), [['allow', 'cos:GetObject', `${COS}/a*`]]],
    ['a dot is a dot', false, get('axjpg'), [['allow', 'cos:GetObject', `${COS}/a.jpg`]]],
    ['nothing else is a pattern', true, get('a+(b)[c]?$^|\\'), [['allow', 'cos:GetObject', `${COS}/a+(b)[c]?$^|\\`]]],
    ['all that gets', true, get('a'), [['allow', 'cos:Get*', '*']]],
    ['all of COS', true, get('a'), [['allow', 'name/cos:*', '*']]],
    ['all of COS is not CI', false, cut('a'), [['allow', 'cos:*', '*']]],
    ['everything', true, cut('a'), [['allow', '*', '*']]],
    ['CI', true, cut('a'), [['allow', 'ci:CreateGoodsMattingJob', `${CI}/*`]]],
    ['CI on a resource of COS', false, cut('a'), [['allow', 'ci:CreateGoodsMattingJob', `${COS}/*`]]],
    ['COS on a resource of CI', false, get('a'), [['allow', '*', `${CI}/*`]]],
    ['the bucket itself', true, list, [['allow', 'cos:GetBucket', `${COS}/`]]],
    ['the bucket, with all in it', true, list, [['allow', 'cos:GetBucket', `${COS}/*`]]],
    ['the bucket is not what is in it', false, list, [['allow', 'cos:GetBucket', `${COS}/uploads/*`]]],
    ['another bucket', false, get('a', OTHER), [['allow', '*', `${COS}/*`]]],
    ['another region', false, get('a'), [['allow', '*', `${COS.replace(REGION, 'ap-beijing')}/*`]]],
    ['denied', false, get('a'), [['deny', 'cos:GetObject', '*']]],
    [
      'denied after',
      false,
      get('a/b'),
      [
        ['allow', '*', '*'],
        ['deny', 'cos:GetObject', `${COS}/a/*`],
      ],
    ],
    [
      'denied before',
      false,
      get('a/b'),
      [
        ['deny', 'cos:GetObject', `${COS}/a/*`],
        ['allow', '*', '*'],
      ],
    ],
    [
      'denied elsewhere',
      true,
      get('b'),
      [
        ['deny', 'cos:GetObject', `${COS}/a/*`],
        ['allow', '*', '*'],
      ],
    ],
    [
      'something else denied',
      true,
      get('a'),
      [
        ['deny', 'cos:PutObject', '*'],
        ['allow', '*', '*'],
      ],
    ],
  ])('%s: %s', (_, allowed, need, statements) => {
    expect(allows(policy(...statements), need, REGION)).toBe(allowed)
  })

  test('means its own region', () => {
    const here = policy(['allow', '*', `${COS}/*`])
    expect([REGION, 'ap-beijing'].map((region) => allows(here, get('a'), region))).toEqual([true, false])
  })

  test('means every character of a key, and the rest by a star', () => {
    const key = fc.string({ unit: fc.constantFrom(...'ab./\\+?[](){}^$|\n-é🙂'), maxLength: 6 })
    fc.assert(
      fc.property(key, key, key, (a, b, c) => {
        const may = (pattern: string, k: string) =>
          allows(policy(['allow', 'cos:GetObject', `${COS}/${pattern}`]), get(k), REGION)
        expect(may(a, b)).toBe(a === b)
        expect(may(`${a}*`, b)).toBe(b.startsWith(a))
        expect(may(`${a}*`, a + b)).toBe(true)
        expect(may(`${a}*${c}`, a + b + c)).toBe(true)
        expect(may(`*${c}`, b)).toBe(b.endsWith(c))
        const denied = policy(['allow', '*', '*'], ['deny', 'cos:GetObject', `${COS}/${a}*`])
        expect(allows(denied, get(b), REGION)).toBe(!b.startsWith(a))
      }),
    )
  })

  const good = { effect: 'allow', action: 'cos:GetObject', resource: '*' }
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['text', '{}'],
    ['no version', { statement: [good] }],
    ['another version', { version: '3.0', statement: [good] }],
    ['no statement', { version: '2.0' }],
    ['one statement without its array', { version: '2.0', statement: good }],
    ['an unknown field', { version: '2.0', statement: [good], principal: '*' }],
    ...[
      { ...good, condition: { ip_equal: { 'qcs:ip': '10.0.0.1' } } },
      { ...good, Effect: 'deny' },
      { ...good, effect: 'Allow' },
      { ...good, effect: undefined },
      { ...good, action: undefined },
      { ...good, action: [] },
      { ...good, action: ['cos:GetObject', 1] },
      { ...good, action: 'GetObject' },
      { ...good, action: 'name/ci:CreateGoodsMattingJob' },
      { ...good, action: 'cvm:RunInstances' },
      { ...good, action: 'cos:Get?bject' },
      { ...good, action: 'cos:GetObject\n' },
      { ...good, resource: undefined },
      { ...good, resource: [] },
      { ...good, resource: '' },
      { ...good, resource: COS },
      { ...good, resource: `${COS.replace(REGION, '')}/*` },
      { ...good, resource: `${COS.replace('uid/125', 'uid/126')}/*` },
      { ...good, resource: `${COS.replace('uid/', 'uin/')}/*` },
      { ...good, resource: `${CI.replace('bucket/', '')}/*` },
      { ...good, resource: `${COS.replace('::cos', '::cvm')}/*` },
      { ...good, resource: `qcs::cos:${REGION}:uid/1250000000:prefix//1250000000/photos/*` },
      null,
      'allow',
    ].map((statement): [string, unknown] => [JSON.stringify(statement), { version: '2.0', statement: [statement] }]),
  ])('is refused: %s', (_, json) => {
    expect(() => parsePolicy(json)).toThrow(TypeError)
  })
})

const BYTES = await photo(50, 40)
const LIMITED = { id: 'LIMITED', secret: 'limited' }

function limit(lab: Lab, ...statements: Statement[]): void {
  lab.keys.set(LIMITED.id, { secret: LIMITED.secret, policy: policy(...statements) })
}

/** A photo, the parts of an upload, and a second bucket. */
async function furnished(options?: LabOptions) {
  const lab = await startLab(options)
  await lab.put('uploads/a.png', BYTES)
  const made = await lab.send('PUT', '', { host: `${OTHER}.cos.${REGION}.myqcloud.com` })
  expect(made.status).toBe(200)
  const started = await lab.send('POST', 'uploads/b.png', { query: { uploads: '' } })
  const uploadId = element(started, 'UploadId') ?? ''
  const query = { partNumber: '1', uploadId }
  const part = await lab.send('PUT', 'uploads/b.png', { query, body: BYTES })
  const parts = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part>`
  return { lab, uploadId, parts: `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>` }
}
type Furnished = Awaited<ReturnType<typeof furnished>>

/** All that lasts. */
async function state(lab: Lab): Promise<unknown> {
  const hosts = [BUCKET, OTHER, 'new-1250000000'].map((name) => `${name}.cos.${REGION}.myqcloud.com`)
  const queries: Record<string, string>[] = [{}, { uploads: '' }]
  const lists = await Promise.all(hosts.flatMap((host) => queries.map((query) => lab.send('GET', '', { host, query }))))
  const settings = readFileSync(join(lab.options.dir, 'buckets.json'), 'utf8')
  const texts = lists.map(({ status, text }) => (status === 200 ? text : status))
  return { texts, settings, events: lab.events.length, bill: lab.bill() }
}

const rules = (...entries: object[]) => ({
  'Pic-Operations': JSON.stringify({
    rules: entries.map((entry) => ({ fileid: '/cutouts/a.png', rule: 'ci-process=GoodsMatting', ...entry })),
  }),
})
const TWO_RULES = rules({}, { fileid: '/cutouts/b.png', bucket: OTHER })
const TWO_TARGETS: Pair[] = [
  ['cos:PutObject', `${COS}/cutouts/a.png`],
  ['cos:PutObject', `${COS.replace(BUCKET, OTHER)}/cutouts/b.png`],
]
const MATTING = { 'ci-process': 'GoodsMatting' }
const STRICT =
  '<StrictSignatureConfiguration><Rule><ID>r</ID><actionlist><action>Head*</action></actionlist></Rule></StrictSignatureConfiguration>'

type Pair = [action: string, resource: string]

/** A picture by the owner's presigned URL. */
function presigned({ port }: Lab, signer = {}, path = '/uploads/a.png', query = {}): string {
  const host = `127.0.0.1:${port}`
  return `http://${host}${path}?${authorization({ method: 'GET', path, query, headers: { host }, ...signer })}`
}

/** What of a URL goes on the wire. */
const local = (url: string) => url.replace(/^http:\/\/[^/]+/, '')

const object = (action: string, key = 'uploads/a.png'): Pair => [`cos:${action}`, `${COS}/${key}`]
const job = (key = 'uploads/a.png'): Pair => ['ci:CreateGoodsMattingJob', `${CI}/${key}`]
const setting = (name: string): Pair => [`ci:${name}`, `${CI}/`]
const at = (door: string, bucket = `${BUCKET}.`) => ({ host: `${bucket}${door}.${REGION}.myqcloud.com` })

type What = (furnished: Furnished) => [method: string, key: string, sent?: Sent]
const upload =
  (method: string, more: Sent = {}): What =>
  ({ uploadId }) => [method, 'uploads/b.png', { ...more, query: { uploadId, ...more.query } }]
const detect =
  (key: string, more: Sent = {}): What =>
  ({ lab }) => ['GET', key, { ...more, query: { ...MATTING, 'detect-url': presigned(lab) } }]

describe('what an operation needs, and nothing else', () => {
  test.each<[string, Pair[], What]>([
    ['GetObject', [object('GetObject')], () => ['GET', 'uploads/a.png']],
    ['HeadObject', [object('HeadObject')], () => ['HEAD', 'uploads/a.png']],
    ['PutObject', [object('PutObject', 'new')], () => ['PUT', 'new', { body: 'x' }]],
    ['DeleteObject', [object('DeleteObject')], () => ['DELETE', 'uploads/a.png']],
    [
      'CopyObject',
      [object('PutObject', 'copy'), object('GetObject')],
      () => ['PUT', 'copy', { headers: { 'x-cos-copy-source': `${at('cos').host}/uploads/a.png` } }],
    ],
    ['GetBucket', [object('GetBucket', '')], () => ['GET', '']],
    ['HeadBucket', [object('HeadBucket', '')], () => ['HEAD', '']],
    [
      'PutBucket',
      [['cos:PutBucket', `${COS.replace(BUCKET, 'new-1250000000')}/`]],
      () => ['PUT', '', at('cos', 'new-1250000000.')],
    ],
    ['ListMultipartUploads', [object('ListMultipartUploads', '')], () => ['GET', '', { query: { uploads: '' } }]],
    [
      'InitiateMultipartUpload',
      [object('InitiateMultipartUpload', 'new')],
      () => ['POST', 'new', { query: { uploads: '' } }],
    ],
    ['UploadPart', [object('UploadPart', 'uploads/b.png')], upload('PUT', { query: { partNumber: '1' }, body: 'x' })],
    ['ListParts', [object('ListParts', 'uploads/b.png')], upload('GET')],
    ['AbortMultipartUpload', [object('AbortMultipartUpload', 'uploads/b.png')], upload('DELETE')],
    [
      'CompleteMultipartUpload',
      [object('CompleteMultipartUpload', 'uploads/b.png')],
      (all) => upload('POST', { body: all.parts })(all),
    ],
    [
      'CompleteMultipartUpload with Pic-Operations',
      [object('CompleteMultipartUpload', 'uploads/b.png'), job('uploads/b.png'), ...TWO_TARGETS],
      (all) => upload('POST', { body: all.parts, headers: TWO_RULES })(all),
    ],
    [
      'PutObject with Pic-Operations',
      [object('PutObject'), job(), ...TWO_TARGETS],
      () => ['PUT', 'uploads/a.png', { body: BYTES, headers: TWO_RULES }],
    ],
    [
      'ImageProcess',
      [object('GetObject'), job(), ...TWO_TARGETS],
      () => ['POST', 'uploads/a.png', { query: { image_process: '' }, headers: TWO_RULES }],
    ],
    ['GoodsMatting', [object('GetObject'), job()], () => ['GET', 'uploads/a.png', { query: MATTING }]],
    ['GoodsMatting of a detect-url', [job('')], detect('')],
    ['GoodsMatting of a detect-url by .pic.', [job('')], detect('', at('pic'))],
    ['GoodsMatting of a detect-url on a key', [object('GetObject'), job()], detect('uploads/a.png')],
    [
      'PutBucketStrictSignature',
      [object('PutBucketStrictSignature', '')],
      () => ['PUT', '', { query: { 'strict-signature': '' }, body: STRICT }],
    ],
    [
      'GetBucketStrictSignature',
      [object('GetBucketStrictSignature', '')],
      () => ['GET', '', { query: { 'strict-signature': '' } }],
    ],
    [
      'DeleteBucketStrictSignature',
      [object('DeleteBucketStrictSignature', '')],
      () => ['DELETE', '', { query: { 'strict-signature': '' } }],
    ],
    ['CreateCIBucket', [setting('CreateCIBucket')], () => ['PUT', '', at('pic')]],
    ['DeleteCIBucket', [setting('DeleteCIBucket')], () => ['PUT', '', { ...at('pic'), query: { unbind: '' } }]],
    ['GetCIBucket', [setting('GetCIBucket')], () => ['GET', '', at('pic')]],
    ['CreateAIBucket', [setting('CreateAIBucket')], () => ['POST', 'ai_bucket', at('ci')]],
    ['DeleteAIBucket', [setting('DeleteAIBucket')], () => ['DELETE', 'ai_bucket', at('ci')]],
    ['DescribeAIBuckets', [['ci:DescribeAIBuckets', '*']], () => ['GET', 'ai_bucket', at('ci', '')]],
  ])('%s', async (_, pairs, what) => {
    const all = await furnished()
    const { lab } = all
    const [method, key, sent] = what(all)
    const before = await state(lab)
    for (const lacking of pairs) {
      const rest = pairs.filter((pair) => pair !== lacking)
      // Once it is not allowed, once it is denied.
      for (const statements of [
        rest.map((pair): Statement => ['allow', ...pair]),
        [['allow', '*', '*'] as Statement, ['deny', ...lacking] as Statement],
      ]) {
        limit(lab, ...statements)
        const reply = await send(lab.port, method, key, { ...sent, ...LIMITED })
        expect(reply.status).toBe(403)
        if (method !== 'HEAD')
          expect([element(reply, 'Code'), element(reply, 'Message')]).toEqual(['AccessDenied', 'Access Denied.'])
      }
    }
    expect(await state(lab)).toEqual(before)
    limit(lab, ...pairs.map((pair): Statement => ['allow', ...pair]))
    expect((await send(lab.port, method, key, { ...sent, ...LIMITED })).status).toBeLessThan(300)
  })

  test('rules are not read for one who may not store the source', async () => {
    const { lab } = await furnished()
    limit(lab, ['allow', 'cos:GetObject', '*'])
    const sent = { body: 'x', headers: { 'Pic-Operations': 'no JSON' } }
    expect((await send(lab.port, 'PUT', 'new', { ...sent, ...LIMITED })).status).toBe(403)
    expect((await lab.send('PUT', 'new', sent)).status).toBe(400)
  })

  test('faults strike only what is allowed', async () => {
    const { lab } = await furnished()
    lab.faults.set([{ on: 'GetObject', kind: 'slow-down', times: 1 }])
    limit(lab)
    expect((await send(lab.port, 'GET', 'uploads/a.png', LIMITED)).status).toBe(403)
    expect(lab.faults.list()).toMatchObject([{ struck: 0 }])
  })
})

describe('a presigned URL of a cutout that got about', () => {
  /** As the functions' role should have it: it may pay, but for sources only. */
  async function leaked() {
    const { lab } = await furnished()
    await lab.put('cutouts/a.png', BYTES)
    limit(
      lab,
      ['allow', ['cos:GetObject', 'cos:HeadObject'], [`${COS}/uploads/*`, `${COS}/cutouts/*`]],
      ['allow', 'cos:PutObject', `${COS}/cutouts/*`],
      ['allow', 'ci:CreateGoodsMattingJob', `${CI}/uploads/*`],
    )
    return { lab, url: local(presigned(lab, LIMITED, '/cutouts/a.png')) }
  }

  test('leads to the cutout', async () => {
    const { lab, url } = await leaked()
    const reply = await sendRaw(lab.port, 'GET', url)
    expect([reply.status, reply.bytes]).toEqual([200, Buffer.from(BYTES)])
  })

  test.each<[string, number, (lab: Lab) => string, (Sent & { method?: string })?]>([
    ['ci-process', 403, () => '&ci-process=GoodsMatting'],
    ['ci-process, encoded', 403, () => '&%63i-process=%47oodsMatting'],
    ['ci-process and a layout', 403, () => '&ci-process=GoodsMatting&center-layout=1&padding-layout=9x9'],
    ['detect-url', 403, (lab) => `&ci-process=GoodsMatting&detect-url=${encodeURIComponent(presigned(lab))}`],
    [
      'detect-url, by the .pic. host',
      403,
      (lab) => `&ci-process=GoodsMatting&detect-url=${encodeURIComponent(presigned(lab))}`,
      at('pic'),
    ],
    ['another process', 501, () => '&ci-process=AIPicMatting'],
    ['image_process', 501, () => '&image_process'],
    ['image_process by POST', 403, () => '&image_process', { method: 'POST', headers: rules({}) }],
    ['a name in upper case means nothing', 200, () => '&CI-Process=GoodsMatting'],
    ['Pic-Operations means nothing to GET', 200, () => '', { headers: rules({}) }],
    ['Pic-Operations by PUT', 403, () => '', { method: 'PUT', headers: rules({}), body: BYTES }],
    ['ci-process, twice', 400, () => '&ci-process=GoodsMatting&ci-process=GoodsMatting'],
  ])('with %s costs nothing: %s', async (_, status, added, { method = 'GET', host, headers = {}, body } = {}) => {
    const { lab } = await leaked()
    // Signed for no host, so that it can be tried at every door.
    const auth = authorization({ method: 'GET', path: '/cutouts/a.png', ...LIMITED })
    const before = await state(lab)
    const reply = await sendRaw(lab.port, method, `/cutouts/a.png?${auth}${added(lab)}`, {
      headers: { ...headers, ...(host !== undefined && { Host: host }) },
      ...(body !== undefined && { body }),
    })
    expect(reply.status).toBe(status)
    if (status === 200) expect(reply.bytes).toEqual(Buffer.from(BYTES))
    expect(lab.bill()).toEqual([])
    expect(await state(lab)).toEqual(before)
  })

  test('it is the policy that stops it: where the key may pay, it pays', async () => {
    const { lab } = await leaked()
    const url = local(presigned(lab, LIMITED))
    expect((await sendRaw(lab.port, 'GET', `${url}&ci-process=GoodsMatting`)).status).toBe(200)
    expect(lab.bill()).toHaveLength(1)
  })
})

describe('strict signature mode', () => {
  const on = { query: { 'strict-signature': '' } }
  /** As the vendor's pages write it. */
  const configuration = (id: string, actions: string[], headers: string[], params: string[]) => `
    <Rule>
        <ID>${id}</ID>
        <actionlist>${actions.map((name) => `<action>${name}</action>`).join('')}</actionlist>
        <headerlist>${headers.map((name) => `<header>${name}</header>`).join('')}</headerlist>
        <paramlist>${params.map((name) => `<param>${name}</param>`).join('')}</paramlist>
    </Rule>`
  const all = (...list: string[]) => `<StrictSignatureConfiguration>${list.join('')}</StrictSignatureConfiguration>`
  async function strict(actions: string[], headers: string[], params: string[]): Promise<Lab> {
    const { lab } = await furnished()
    const body = all(configuration('other', ['HeadBucket'], [], ['all']), configuration('r', actions, headers, params))
    expect((await lab.send('PUT', '', { ...on, body })).status).toBe(200)
    return lab
  }
  const refusal = (reply: Reply) => [reply.status, element(reply, 'Code'), element(reply, 'Message')]
  const MISSING = [403, 'AccessDenied', 'Strict signature missing param that must be signed']

  test('a parameter appended to a signed call is refused; as it was signed it works', async () => {
    const open = (await furnished()).lab
    const signed = (lab: Lab) => `${local(presigned(lab, {}, '/uploads/a.png', MATTING))}&ci-process=GoodsMatting`
    const added = (lab: Lab) => `${signed(lab)}&detect-url=${encodeURIComponent(presigned(lab))}`
    expect((await sendRaw(open.port, 'GET', added(open))).status).toBe(200)
    for (const actions of [['*'], ['Put*', 'getobject'], ['CreateGoods*']]) {
      const lab = await strict(actions, [], ['all'])
      expect(refusal(await sendRaw(lab.port, 'GET', added(lab)))).toEqual(MISSING)
      expect(lab.bill()).toEqual([])
      expect((await sendRaw(lab.port, 'GET', signed(lab))).status).toBe(200)
      expect(lab.bill()).toHaveLength(1)
    }
  })

  test('a cutout’s URL works as it is, with its token, and not with ci-process', async () => {
    const lab = await strict(['*'], ['Host', 'x-cos-acl'], ['all'])
    lab.keys.set('TEMP', { secret: 'temporary', token: 'to/k=' })
    const url = `${local(presigned(lab, { id: 'TEMP', secret: 'temporary' }))}&x-cos-security-token=to%2Fk%3D`
    expect((await sendRaw(lab.port, 'GET', url)).status).toBe(200)
    expect(refusal(await sendRaw(lab.port, 'GET', `${url}&%63i-process=GoodsMatting`))).toEqual(MISSING)
    expect(refusal(await sendRaw(lab.port, 'GET', `${url}&means=nothing`))).toEqual(MISSING)
    expect(lab.bill()).toEqual([])
  })

  test('only the parameters, only the headers, and only of the actions that a rule names', async () => {
    const lab = await strict(['GetObject'], ['x-cos-*', 'range'], ['Response-Content-Type', 'control'])
    const header = [403, 'AccessDenied', 'Strict signature missing header that must be signed']
    const ask = (search: string, headers = {}, method = 'GET') => {
      const auth = authorization({ method, path: '/uploads/a.png' })
      return sendRaw(lab.port, method, `/uploads/a.png?${auth}${search}`, { headers })
    }
    expect((await ask('&response-cache-control=no-store')).status).toBe(200)
    expect(refusal(await ask('&response-content-type=a/b'))).toEqual(MISSING)
    expect((await ask('&response-content-type=a/b', {}, 'HEAD')).status).toBe(200)
    expect(refusal(await ask('', { Range: 'bytes=0-1' }))).toEqual(header)
    expect(refusal(await ask('', { 'x-cos-meta-a': 'b' }))).toEqual(header)
    expect((await ask('', { 'x-unknown': 'b' })).status).toBe(200)
    expect((await lab.send('GET', 'uploads/a.png', { headers: { 'x-cos-meta-a!': 'b' } })).status).toBe(200)
    const hosts = await strict(['*'], ['Host'], [])
    const unsigned = authorization({ method: 'GET', path: '/uploads/a.png' })
    expect(refusal(await sendRaw(hosts.port, 'GET', `/uploads/a.png?${unsigned}`))).toEqual(header)
    expect((await hosts.send('GET', 'uploads/a.png')).status).toBe(200)
  })

  test('set, asked for, kept over a restart, and taken off; of one bucket only', async () => {
    const { lab } = await furnished({ keep: true })
    expect((await lab.send('GET', '', on)).text).toContain('StrictSignatureConfiguration')
    const body = all(
      configuration('limit_acl', ['PutObject', 'Put*'], ['Host'], ['acl']),
      configuration('b', ['*'], [], []),
    )
    expect((await lab.send('PUT', '', { ...on, body })).status).toBe(200)
    await lab.close()
    const again = await startLab({ dir: lab.options.dir })
    const { text } = await again.send('GET', '', on)
    expect(text.replace(/\s/g, '')).toContain(body.replace(/\s|<(\w+)><\/\1>/g, ''))
    const elsewhere = await again.send('GET', '', { ...on, ...at('cos', `${OTHER}.`) })
    expect([elsewhere.status, elsewhere.text.includes('Rule')]).toEqual([200, false])
    expect((await again.send('DELETE', '', on)).status).toBe(204)
    expect((await again.send('GET', '', on)).text).not.toContain('Rule')
  })

  test.each<[string, number, string]>([
    ['no XML', 400, '<StrictSignatureConfiguration>'],
    ['another document', 400, '<Rule></Rule>'],
    ['no rule', 400, all()],
    ['eleven rules', 400, all(...Array.from({ length: 11 }, (_, i) => configuration(`${i}`, ['*'], [], [])))],
    ['an id twice', 400, all(configuration('a', ['*'], [], []), configuration('a', ['*'], [], []))],
    ['no id', 400, all(configuration('', ['*'], [], []))],
    ['an unknown element', 400, all(configuration('a', ['*'], [], []).replaceAll('paramlist', 'paramslist'))],
    ['an unknown element of a list', 400, all(configuration('a', ['*'], [], ['b']).replaceAll('param>', 'name>'))],
    ['PostObject', 400, all(configuration('a', ['PostObject'], [], []))],
    ['a header it cannot hold', 400, all(configuration('a', ['*'], ['Pic-Operations'], []))],
    [
      '21 parameters',
      400,
      all(
        configuration(
          'a',
          ['*'],
          [],
          Array.from({ length: 21 }, (_, i) => `p${i}`),
        ),
      ),
    ],
    ['no actions', 501, all(configuration('a', [], [], ['all']))],
  ])('%s is refused', async (_, status, body) => {
    const { lab } = await furnished()
    expect((await lab.send('PUT', '', { ...on, body })).status).toBe(status)
    expect((await lab.send('GET', '', on)).text).not.toContain('Rule')
  })
})
