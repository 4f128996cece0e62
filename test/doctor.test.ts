import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ApiCall, ask, type BucketCall, type Fields, list } from '../cli/api.ts'
import { doctor } from '../cli/doctor.ts'
import type { Stage } from '../cli/stage.ts'
import { BUCKET } from '../local/cloud.ts'
import { type Deployment, startEmpty } from './helpers/deploy.ts'

let d: Deployment
let stage: Stage
beforeAll(async () => {
  d = await startEmpty()
  stage = await d.stage({ URL_KEYS: 'shop:local-secret-of-shop' })
  await d.deploy(stage)
})
afterAll(() => d.cloud.close())

/** The findings by their marks, and all that was printed. */
async function examine(options: { fix?: boolean; account?: typeof d.account } = {}) {
  let printed = ''
  const print = (line: string) => {
    printed += line
  }
  const isWell = await doctor(options.account ?? d.account, stage, d.code, { json: true, print, ...options })
  const findings: { name: string; mark: string; text: string }[] = JSON.parse(printed)
  const marked = (mark: string) => findings.filter((one) => one.mark === mark).map(({ name }) => name)
  return { isWell, wrong: marked('✗'), advice: marked('!'), findings, printed }
}

const scf = (action: string, params: Fields) => d.api({ service: 'scf', action, params } satisfies ApiCall)
const bucket = (request: Partial<BucketCall>) =>
  ask(d.account, { bucket: BUCKET, door: 'cos', method: 'GET', key: '', ...request }, [200, 204])
const upload = { FunctionName: 'matting-upload-dev' }
const image = { FunctionName: 'matting-image-dev' }
const created = (event = 'cos:ObjectCreated:*') => ({
  Type: 'cos',
  TriggerName: `${BUCKET}.cos.ap-guangzhou.myqcloud.com`,
  TriggerDesc: JSON.stringify({ event, filter: { Prefix: 'uploads/', Suffix: '' } }),
  Qualifier: '$DEFAULT',
})
async function policy(change: (document: string) => string) {
  const { List } = await d.api({ service: 'cam', action: 'ListPolicies', params: { Scope: 'Local', Page: 1, Rp: 200 } })
  const PolicyId = list(List)[0]?.PolicyId
  const { PolicyDocument } = await d.api({ service: 'cam', action: 'GetPolicy', params: { PolicyId } })
  const params = { PolicyId, PolicyDocument: change(String(PolicyDocument)) }
  await d.api({ service: 'cam', action: 'UpdatePolicy', params })
}
async function environment(drop: string) {
  const { Environment } = await scf('GetFunction', image)
  const Variables = list(Object(Environment).Variables).filter(({ Key }) => Key !== drop)
  await scf('UpdateFunctionConfiguration', { ...image, Environment: { Variables } })
}

describe('doctor', () => {
  it('finds nothing wrong with what was just deployed, pays nothing, and tells no value of a variable', async () => {
    const { isWell, wrong, advice, printed, findings } = await examine()
    expect([isWell, wrong, advice]).toEqual([true, [], ['dead letters']])
    expect(findings.map(({ name }) => name)).toContain('self-test matting-image-dev')
    expect(printed).not.toMatch(/local-secret|card: center|local-delivery/)
    expect(d.cloud.cos.bill()).toEqual([])
    expect(await d.cloud.keys('cutouts/')).toEqual([])
  })

  const broken: [what: string, wrong: string[], act: () => Promise<unknown>][] = [
    [
      'Cloud Infinite not bound',
      ['Cloud Infinite'],
      () => bucket({ door: 'pic', method: 'PUT', query: { unbind: '' } }),
    ],
    ['AI recognition closed', ['AI recognition'], () => bucket({ door: 'ci', method: 'DELETE', key: 'ai_bucket' })],
    [
      'a role that may not pay',
      ['role'],
      () => policy((text) => text.replace('"ci:CreateGoodsMattingJob"', '"ci:Other"')),
    ],
    [
      'a role that may not write',
      ['role', 'self-test matting-upload-dev', 'self-test matting-image-dev'],
      () => policy((text) => text.replace('"name/cos:PutObject"', '"name/cos:PutOther"')),
    ],
    ['a variable that is gone', ['functions', 'self-test matting-image-dev'], () => environment('PRESETS')],
    [
      'a trigger that is switched off',
      ['triggers'],
      async () => {
        await scf('DeleteTrigger', { ...upload, ...created() })
        await scf('CreateTrigger', { ...upload, ...created(), Enable: 'CLOSE' })
      },
    ],
    [
      'a function URL that is switched off',
      ['function URL', 'image URLs'],
      () =>
        scf('UpdateTrigger', { ...image, Type: 'http', TriggerName: 'url', Qualifier: '$DEFAULT', Enable: 'CLOSE' }),
    ],
    ['no trigger', ['triggers'], () => scf('DeleteTrigger', { ...upload, ...created() })],
    [
      'no function URL',
      ['function URL', 'image URLs'],
      () => scf('DeleteTrigger', { ...image, Type: 'http', TriggerName: 'url', Qualifier: '$DEFAULT' }),
    ],
  ]
  it.each(broken)('%s: that is wrong, and nothing else; --fix mends it', async (_, wrong, act) => {
    await act()
    const found = await examine()
    expect([found.isWell, found.wrong]).toEqual([false, wrong])
    const mended = await examine({ fix: true })
    expect([mended.isWell, mended.wrong]).toEqual([true, []])
    expect(mended.printed).toContain('mended: ')
  })

  it('masks what it tells', async () => {
    const mask = (text: string) => text.replaceAll('bound', '***')
    const printed: string[] = []
    await doctor(d.account, { ...stage, mask }, d.code, { print: (line) => printed.push(line) })
    expect(printed.find((line) => line.includes('Cloud Infinite'))).toMatch(/^✓ Cloud Infinite +\*\*\*$/)
  })

  it('another function’s trigger for the same photos is named', async () => {
    await scf('DeleteTrigger', { ...upload, ...created() })
    const other = { FunctionName: 'thumbnails' }
    const Code = { ZipFile: d.code.zip.toString('base64') }
    await scf('CreateFunction', { ...other, Code, Runtime: 'Nodejs20.19', Handler: 'image.main_handler' })
    await expect.poll(async () => (await scf('GetFunction', other)).Status).toBe('Active')
    await scf('CreateTrigger', { ...other, ...created('cos:ObjectCreated:Put'), Enable: 'OPEN' })
    const { wrong, findings } = await examine()
    expect(wrong).toEqual(['other triggers', 'triggers'])
    expect(findings.find(({ name }) => name === 'other triggers')?.text).toContain('thumbnails')
    await scf('DeleteFunction', other)
    expect((await examine({ fix: true })).wrong).toEqual([])
  })

  it('a clock that is wrong, and a queue that is bound', async () => {
    const late = { ...d.account, now: () => Date.now() + 120_000 }
    const { isWell, advice, findings } = await examine({ account: late })
    expect([isWell, advice]).toEqual([true, ['bucket', 'dead letters']])
    expect(findings[0]?.text).toMatch(/clock is (119|12\d) s ahead of it$/)
    const slow = { ...d.account, now: () => Date.now() - 400_000 }
    const behind = (await examine({ account: slow })).findings
    expect(behind[0]?.text).toMatch(/clock is (399|4\d\d) s behind it$/)
    await scf('UpdateFunctionConfiguration', { ...upload, DeadLetterConfig: { Type: 'CMQ-QUEUE', Name: 'dead' } })
    await expect.poll(async () => (await scf('GetFunction', upload)).Status).toBe('Active')
    expect((await examine()).findings.at(-1)).toEqual({ name: 'dead letters', mark: '✓', text: 'kept in dead' })
  })
})

describe('the self-test', () => {
  it('by the API’s Invoke tells names and what the role may do, and no value', async () => {
    const { Result } = await scf('Invoke', { ...image, ClientContext: '{"self-test":{}}' })
    const told = JSON.parse(Object(Result).RetMsg)
    expect(told.probes).toEqual({
      read: 'ok',
      list: 'ok',
      write: 'ok',
      'forbid-overwrite': 'ok',
      delete: 'ok',
      environment: 'ok',
    })
    expect(told.names.sort()).toEqual(Object.keys(stage.functions[1]?.environment ?? {}).sort())
  })

  it('of a function that is misconfigured names the variables', async () => {
    const Variables = [
      { Key: 'COS_BUCKET', Value: 'no-bucket-at-all' },
      { Key: 'ACCESS', Value: 'opne' },
    ]
    await scf('UpdateFunctionConfiguration', { ...image, Environment: { Variables } })
    await expect.poll(async () => (await scf('GetFunction', image)).Status).toBe('Active')
    const { Result } = await scf('Invoke', { ...image, ClientContext: '{"self-test":{}}' })
    expect(JSON.parse(Object(Result).RetMsg)).toEqual({
      names: [],
      probes: { environment: 'COS_BUCKET,COS_REGION,ACCESS' },
    })
    expect((await examine({ fix: true })).wrong).toEqual([])
  })

  it('asked for by the function URL, in whatever part of a request, is not made', async () => {
    const event = '{"self-test":{}}'
    const { imageUrl } = d.cloud
    const json = { 'content-type': 'application/json' }
    const answers = await Promise.all([
      fetch(imageUrl, { method: 'POST', body: event, headers: json }),
      fetch(`${imageUrl}/?self-test=`),
      fetch(`${imageUrl}/self-test`),
      fetch(`${imageUrl}/${encodeURIComponent(event)}`, { headers: { 'self-test': '{}' } }),
    ])
    for (const answer of answers) expect(await answer.text()).not.toContain('probes')
  })
})
