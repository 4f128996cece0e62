import COS from 'cos-nodejs-sdk-v5'
import { describe, expect, test } from 'vitest'
import { BUCKET, element, ID, type Lab, REGION, SECRET, startLab } from './helpers/cos.ts'

// Hosts and paths, as the suites of the vendor's SDKs knock at them.

const at = { Bucket: BUCKET, Region: REGION }

function client({ port }: Lab): COS {
  const Domain = `127.0.0.1:${port}`
  return new COS({ SecretId: ID, SecretKey: SECRET, Domain, Protocol: 'http:', ObjectKeySimplifyCheck: false })
}

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
      const cos = client(await startLab())
      await cos.putObject({ ...at, Key, Body: Key })
      expect((await cos.getObject({ ...at, Key })).Body.toString()).toBe(Key)
      expect((await cos.headObject({ ...at, Key })).ETag).toBeTruthy()
    },
  )

  test('by the vendor’s Node SDK', async () => {
    const cos = client(await startLab())
    for (const Key of ['///////', '/./'])
      expect((await cos.getObject({ ...at, Key })).Body.toString()).toContain('<ListBucketResult>')
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
