import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { ask, objects } from '../cli/api.ts'
import { deploy, undeploy } from '../cli/deploy.ts'
import { type Apply, apply } from '../cli/step.ts'
import { photo } from './helpers/cloud.ts'
import { clear, type Deployment, dying, Killed, startEmpty } from './helpers/deploy.ts'

let d: Deployment
beforeAll(async () => {
  d = await startEmpty()
})
afterAll(() => d.cloud.close())
beforeEach(() => clear(d))

describe('a change of folders that was killed while none of them had a trigger', () => {
  /** Kills a deployment when the old trigger is gone and the new one not there yet; then a photo comes. */
  async function killed() {
    await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/shoes/' }))
    const next = await d.stage({ SOURCE_PREFIXES: 'uploads/' })
    const make: Apply = (change) =>
      /no longer goes/.test(change.say) ? dying(d.account, new Set(), [])(change) : apply(d.account, change)
    await expect(d.deploy(next, { make })).rejects.toThrow(Killed)
    await d.cloud.bucket.put('uploads/shoes/a.jpg', await photo(), { type: 'image/jpeg' })
  }

  it('loses no photo if CUTOUT_BUCKET is another one when it is run again', async () => {
    await killed()
    const CUTOUT_BUCKET = 'cutouts-1250000000'
    await ask(d.account, { bucket: CUTOUT_BUCKET, door: 'cos', method: 'PUT', key: '' })
    const printed = await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/', CUTOUT_BUCKET }))
    expect(printed[5]).toContain('hand over what was uploaded meanwhile')
  })

  it('and undeployed, hands over nothing when it is deployed again: it would pay for all that came since', async () => {
    await killed()
    const stage = await d.stage({ SOURCE_PREFIXES: 'uploads/' })
    await undeploy(d.account, stage, { print: () => {} })
    expect((await d.deploy(stage))[5]).not.toContain('hand over')
  })
})

it('a change of folders hands over what may have been under way since a quarter of an hour, and no photo of before: it would be paid for', async () => {
  const real = Date.now()
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  for (const [name, minutes] of Object.entries({ before: 30, meanwhile: 10 })) {
    vi.setSystemTime(real - minutes * 60_000)
    await d.cloud.bucket.put(`uploads/${name}.jpg`, await photo(), { type: 'image/jpeg' })
  }
  vi.useRealTimers()
  await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/shoes/' }))
  const told: string[] = []
  const make: Apply = ({ call, ...change }) => {
    if ('service' in call && call.action === 'Invoke') told.push(String(call.params.ClientContext))
    return apply(d.account, { call, ...change })
  }
  await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/' }), { make })
  expect(told.map((event) => JSON.parse(event).Records[0].cos.cosObject.key)).toEqual([
    '/1250000000/photos/uploads/meanwhile.jpg',
  ])
})

describe('rules of the bucket that were altered by hand', () => {
  it('are set right, and not twice; without ResponseVary a browser refuses the canvas its picture', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    for (const [query, change] of [
      ['cors', (xml: string) => xml.replace(/<ResponseVary>.*<\/ResponseVary>/, '')],
      ['lifecycle', (xml: string) => xml.replace('<Days>1<', '<Days>90<')],
    ] as const) {
      const at = { bucket: stage.config.bucket, door: 'cos', key: '', query: { [query]: '' } } as const
      const look = async () => (await ask(d.account, { ...at, method: 'GET' })).body.toString()
      const before = await look()
      const body = change(before)
      const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
      await ask(d.account, { ...at, method: 'PUT', headers, type: 'application/xml', body })
      expect(await look()).not.toBe(before)
      await d.deploy(stage)
      expect(await look()).toBe(before)
    }
  })
})

describe('the API', () => {
  it('that refuses to tell of versioning is not taken to have none: there a cutout could be paid for twice', async () => {
    const account = { ...d.account, credentials: { secretId: 'nobody', secretKey: 'local-secret' } }
    const deployed = deploy(account, await d.stage(), d.code, { print: () => {} })
    await expect(deployed).rejects.toThrow(/✗ check .*versioning: 403 InvalidAccessKeyId/)
  })

  it('that lists a bucket in pages is asked for all of them: a photo on the second would be lost', async () => {
    const server = createServer(({ url = '' }, response) => {
      const key = /marker=uploads(%2F|\/)a/.test(url) ? 'uploads/b' : 'uploads/a'
      const more = key === 'uploads/a'
      const stored = `<Key>${key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"1"</ETag>`
      response
        .setHeader('x-cos-request-id', 'a')
        .setHeader('server', 'tencent-cos')
        .end(
          `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${more}</IsTruncated><Contents>${stored}</Contents></ListBucketResult>`,
        )
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close().closeAllConnections())
    const local = { cos: Number(Object(server.address()).port), api: 0, control: 0 }
    const keys = []
    for await (const { key } of objects({ ...d.account, local }, 'photos-1250000000', 'uploads/')) keys.push(key)
    expect(keys).toEqual(['uploads/a', 'uploads/b'])
  })

  it('that finds a log set and a policy of others by a part of their names is not taken to have ours', async () => {
    const other = await startEmpty()
    onTestFinished(() => other.cloud.close())
    const params = { LogsetName: 'cos-goods-matting-of-others' }
    await other.api({ service: 'cls', action: 'CreateLogset', params })
    const policy = { PolicyName: 'goods_matting_dev_of_others', PolicyDocument: '{"version":"2.0","statement":[]}' }
    await other.api({ service: 'cam', action: 'CreatePolicy', params: policy })
    const printed = await other.deploy(await other.stage())
    expect([printed[1], printed[3]]).toEqual([
      expect.stringContaining('create its policy'),
      expect.stringContaining('create the log set cos-goods-matting;'),
    ])
  })

  it('that does not know the key is not taken to have nothing', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    const account = { ...d.account, credentials: { secretId: 'nobody', secretKey: 'local-secret' } }
    const printed: string[] = []
    const undeployed = undeploy(account, stage, { print: (line) => printed.push(line) })
    await expect(undeployed).rejects.toThrow(/✗ triggers .*SecretIdNotFound.*Your keys are wrong/)
    expect(printed).toEqual([])
  })

  it.each([
    ['AuthFailure.SignatureExpire', /[^.]\. This machine's clock/],
    ['RequestLimitExceeded.UinLimitExceeded', 'Run the command again'],
    ['InternalError.System', 'Run the command again'],
  ])('that answers %s is told with what to do', async (code, advice) => {
    d.cloud.faults.set([{ kind: 'error', on: 'GetRole', code }])
    onTestFinished(() => d.cloud.faults.set([]))
    await expect(d.deploy(await d.stage())).rejects.toThrow(advice)
  })

  it('whose answer is lost is told with what to do, and what was done is not done twice', async () => {
    const stage = await d.stage()
    onTestFinished(() => d.cloud.faults.set([]))
    for (const on of ['CreateRole', 'CreatePolicy', 'CreateFunction', 'CreateTrigger']) {
      d.cloud.faults.set([{ kind: 'lose-answer', on }])
      await expect(d.deploy(stage)).rejects.toThrow(new RegExp(`${on}: .*Run the command again`))
      d.cloud.faults.set([])
    }
    const done = (await d.deploy(stage)).join()
    for (const once of ['create the role', 'create its policy', 'create matting-', ' goes to '])
      expect(done).not.toContain(once)
    const printed = await d.deploy(stage)
    expect(printed.slice(1, 7).every((line) => line.endsWith('nothing to do'))).toBe(true)
  })
})
