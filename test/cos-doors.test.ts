import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parsePolicy } from '../local/cos/cos.ts'
import { AT, authorization, BUCKET, client, element, photo, REGION, SECRET, sendRaw, startLab } from './helpers/cos.ts'

// Hosts and paths, as the suites of the vendor's SDKs knock at them.

describe('paths of nothing but slashes and dots', () => {
  // As the wire has them; the SDK itself takes one slash off a key.
  test.each(['///////', '/./', '//', '/.', '/././/'])('%s is the bucket', async (path) => {
    const lab = await startLab()
    await lab.put('a')
    const key = path.slice(1)
    expect((await lab.send('GET', key)).text).toContain('<ListBucketResult>')
    const head = await lab.send('HEAD', key)
    expect([head.status, head.headers.etag, head.headers['x-cos-bucket-region']]).toEqual([200, undefined, REGION])
    expect(element(await lab.put(key), 'Code')).toBe('BucketAlreadyOwnedByYou')
    expect((await lab.send('DELETE', key)).status).toBe(501)
    expect((await lab.send('GET', '')).text.match(/<Key>/g)).toHaveLength(1)
  })

  test.each(['/abc/../', '/..', '///abc/.//def//../../', '/././///abc/.//def//../../'])(
    '%s is an object',
    async (Key) => {
      const cos = client(await startLab(), { ObjectKeySimplifyCheck: false })
      await cos.putObject({ ...AT, Key, Body: Key })
      expect((await cos.getObject({ ...AT, Key })).Body.toString()).toBe(Key)
      expect((await cos.headObject({ ...AT, Key })).ETag).toBeTruthy()
    },
  )

  test('by the vendor’s Node SDK', async () => {
    const cos = client(await startLab(), { ObjectKeySimplifyCheck: false })
    for (const Key of ['///////', '/./'])
      expect((await cos.getObject({ ...AT, Key })).Body.toString()).toContain('<ListBucketResult>')
  })
})

test('GET /ai_bucket takes empty parameters, the defaults of the SDKs, as none', async () => {
  const lab = await startLab()
  const host = `ci.${REGION}.myqcloud.com`
  const query = { regions: '', bucketNames: '', bucketName: '', pageNumber: '', pageSize: '' }
  const list = await lab.send('GET', 'ai_bucket', { host, query })
  expect([list.status, element(list, 'Name'), element(list, 'PageNumber'), element(list, 'PageSize')]).toEqual([
    200,
    BUCKET,
    '1',
    '10',
  ])
})

describe('regions are real', () => {
  const other = `elsewhere-1250000000.cos.ap-beijing.myqcloud.com`

  test('a bucket is found where it was put, and there alone; its name is taken everywhere', async () => {
    const lab = await startLab({ keep: true })
    const here = other.replace('ap-beijing', REGION)
    expect((await lab.send('PUT', '', { host: other })).status).toBe(200)
    const head = await lab.send('HEAD', '', { host: other })
    expect([head.status, head.headers['x-cos-bucket-region']]).toEqual([200, 'ap-beijing'])
    expect((await lab.send('HEAD', '', { host: here })).status).toBe(404)
    for (const host of [other, here])
      expect(element(await lab.send('PUT', '', { host }), 'Code')).toBe('BucketAlreadyOwnedByYou')
    await lab.close()
    const again = await startLab({ dir: lab.options.dir })
    expect((await again.send('HEAD', '', { host: other })).status).toBe(200)
    expect((await again.send('HEAD', '', { host: here })).status).toBe(404)
  })

  test('buckets that were written down without a region are at home', async () => {
    const lab = await startLab({ keep: true })
    await lab.close()
    const file = join(lab.options.dir, 'buckets.json')
    const buckets: [string, object][] = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify(buckets.map(([name, bucket]) => [name, { ...bucket, region: undefined }])))
    const again = await startLab({ dir: lab.options.dir })
    expect((await again.send('HEAD', '', {})).status).toBe(200)
  })

  test('objects are copied between them; events, answers, policies and AI recognition name the bucket’s own', async () => {
    const lab = await startLab()
    await lab.send('PUT', '', { host: other })
    await lab.send('PUT', 'a.jpg', { host: other, body: await photo() })
    const copy = { headers: { 'x-cos-copy-source': `${other}/a.jpg` } }
    expect((await lab.send('PUT', 'copy.jpg', copy)).status).toBe(200)
    expect(lab.events.map(({ bucket, region }) => [bucket, region])).toEqual([
      ['elsewhere-1250000000', 'ap-beijing'],
      [BUCKET, REGION],
    ])
    const wrong = { headers: { 'x-cos-copy-source': `${other.replace('ap-beijing', REGION)}/a.jpg` } }
    expect(element(await lab.send('PUT', 'copy.jpg', wrong), 'Code')).toBe('NoSuchBucket')

    await lab.send('PUT', '', { host: other.replace('.cos.', '.pic.') })
    await lab.send('POST', 'ai_bucket', { host: other.replace('.cos.', '.ci.') })
    const lists = ['ap-beijing', REGION, `All`].map((regions) =>
      lab.send('GET', 'ai_bucket', { host: 'ci.ap-beijing.myqcloud.com', query: { regions } }),
    )
    expect((await Promise.all(lists)).map(({ text }) => text.match(/(?<=<Region>)[^<]*/g))).toEqual([
      ['ap-beijing'],
      [REGION],
      [REGION, 'ap-beijing'],
    ])
    const rules = { rules: [{ fileid: '/cut.png', rule: 'ci-process=GoodsMatting' }] }
    const process = (more: object = {}) => {
      const operations = JSON.stringify({ rules: rules.rules.map((rule) => ({ ...rule, ...more })) })
      const sent = { host: other, query: { image_process: '' }, headers: { 'Pic-Operations': operations }, body: '' }
      return lab.send('POST', 'a.jpg', sent)
    }
    expect(element(await process(), 'Location')).toBe(`${other}/a.jpg`)
    expect(element(await process({ bucket: BUCKET }), 'Code')).toBe('NoSuchBucket')

    const detect = `http://${other}/a.jpg?${authorization({ method: 'GET', path: '/a.jpg' })}`
    const query = { 'ci-process': 'GoodsMatting', 'detect-url': detect }
    expect((await lab.send('GET', '', { query })).status).toBe(200)

    const resource = (region: string) => `qcs::cos:${region}:uid/1250000000:elsewhere-1250000000/*`
    for (const [region, status] of [
      ['ap-beijing', 200],
      [REGION, 403],
    ] as const) {
      const statement = [{ effect: 'allow', action: ['cos:GetObject'], resource: [resource(region)] }]
      lab.keys.set('LIMITED', { secret: SECRET, policy: parsePolicy({ version: '2.0', statement }) })
      expect((await lab.send('GET', 'a.jpg', { host: other, id: 'LIMITED' })).status).toBe(status)
    }
  })

  test('an upload in parts tells where it went', async () => {
    const lab = await startLab()
    await lab.send('PUT', '', { host: other })
    const uploadId = element(await lab.send('POST', 'a', { host: other, query: { uploads: '' } }), 'UploadId') ?? ''
    const query = { partNumber: '1', uploadId }
    const { headers } = await lab.send('PUT', 'a', { host: other, query, body: 'hello' })
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${headers.etag}</ETag></Part></CompleteMultipartUpload>`
    const done = await lab.send('POST', 'a', { host: other, query: { uploadId }, body })
    expect(element(done, 'Location')).toBe(`http://${other}/a`)
  })
})

describe('what is not here is said to be so, by name', () => {
  const service = `cos.${REGION}.myqcloud.com`
  const ci = `${BUCKET}.ci.${REGION}.myqcloud.com`

  test.each([
    [service, 'GET', '', 'GET Service'],
    [service.replace('myqcloud.com', 'tencentcos.cn'), 'GET', '', 'GET Service'],
    ['service.cos.myqcloud.com', 'GET', '', 'GET Service'],
    [`${BUCKET}.cos.accelerate.myqcloud.com`, 'GET', 'a', 'cos.accelerate'],
    [`${BUCKET}.cos.accelerate.myqcloud.com`, 'PUT', '', 'cos.accelerate'],
    [`${BUCKET}.cos-website.${REGION}.myqcloud.com`, 'GET', 'a', 'cos-website'],
    [`${BUCKET}.file.myqcloud.com`, 'GET', 'a', 'file.myqcloud.com'],
    [`pic.${REGION}.myqcloud.com`, 'GET', '', 'the host pic.'],
    [ci, 'GET', 'queue', 'GET /queue'],
    [ci, 'POST', 'file_jobs', 'POST /file_jobs'],
    [ci, 'POST', 'image/auditing', 'POST /image/auditing'],
    [ci, 'GET', '', 'GET /'],
    [`ci.${REGION}.myqcloud.com`, 'GET', 'picbucket', 'GET /picbucket'],
    [`ci.${REGION}.myqcloud.com`, 'GET', 'picbucket?pageNumber=1', 'GET /picbucket'],
  ])('%s: %s /%s', async (host, method, target, name) => {
    const lab = await startLab()
    const [key = '', append = ''] = target.split('?')
    const reply = await lab.send(method, key, { host, append })
    expect([reply.status, element(reply, 'Code')]).toEqual([501, 'NotImplemented'])
    expect(element(reply, 'Message')).toContain(`does not implement`)
    expect(element(reply, 'Message')).toContain(name)
    expect(lab.requests().at(-1)?.operation).toMatch(/^(NotImplemented)?$/)
  })

  test('unsigned, not even that is told', async () => {
    const { port } = await startLab()
    const reply = await sendRaw(port, 'GET', '/queue', { headers: { Host: `ci.${REGION}.myqcloud.com` } })
    expect([reply.status, element(reply, 'Code')]).toEqual([403, 'AccessDenied'])
  })
})
