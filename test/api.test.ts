import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { CommonClient } from 'tencentcloud-sdk-nodejs-common'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../lib/config.ts'
import { rolePolicy } from '../lib/policy.ts'
import { startApi } from '../local/api/api.ts'
import { unpack } from '../local/api/zip.ts'
import { createClock } from '../local/clock.ts'
import { BUCKET, CREDENTIALS, REGION } from '../local/cloud.ts'
import { createFaults } from '../local/faults.ts'
import { createQueue } from '../local/scf/queue.ts'
import { startScf } from '../local/scf/scf.ts'
import { type Json, refused, type Services, services, settled, TRUST, unique } from './helpers/api.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { zipFile } from './helpers/zip.ts'

let cloud: TestCloud
let api: Services
beforeAll(async () => {
  cloud = await startTestCloud({ empty: true })
  api = services(cloud.apiUrl ?? '')
})
afterAll(() => cloud.close())

/** Tells what it was called with and what it knows; throws or waits when told to. */
const PROBE = `exports.main_handler = async (event, context) => {
  console.log('seen', JSON.stringify(event))
  if (event.fail) throw new Error('as told')
  return { statusCode: 200, headers: { 'content-type': 'text/plain' }, body: VERSION + ' ' + (process.env.GREETING ?? ''),
    event, key: process.env.TENCENTCLOUD_SECRETID ?? '', limit: context.time_limit_in_ms } }`

const code = (version = 'one') => zipFile({ name: 'index.js', data: `const VERSION = '${version}'\n${PROBE}` })

async function make(more: Json = {}, version?: string): Promise<string> {
  const FunctionName = unique('fn')
  const Code = { ZipFile: code(version) }
  await api.scf('CreateFunction', {
    FunctionName,
    Code,
    Runtime: 'Nodejs20.19',
    Handler: 'index.main_handler',
    ...more,
  })
  await settled(api, FunctionName)
  return FunctionName
}

async function run(name: string, event: unknown = {}): Promise<Json> {
  const { Result } = await api.scf('Invoke', { FunctionName: name, ClientContext: JSON.stringify(event) })
  return Object(Result)
}

const returned = async (name: string, event?: unknown): Promise<Json> =>
  Object(JSON.parse(String((await run(name, event)).RetMsg)))

const BUCKET_URL = 'photos-1250000000.cos.ap-guangzhou.myqcloud.com'
function cosTrigger(name: string, event: string, prefix: string, suffix = '') {
  const TriggerDesc = JSON.stringify({ event, filter: { Prefix: prefix, Suffix: suffix } })
  return {
    FunctionName: name,
    TriggerName: BUCKET_URL,
    Type: 'cos',
    TriggerDesc,
    Enable: 'OPEN',
    Qualifier: '$DEFAULT',
  }
}

describe('the wire', () => {
  function post(
    headers: Record<string, string>,
    body = '{}',
    method = 'POST',
  ): Promise<{ status: number; body: Json }> {
    return new Promise((resolve, reject) => {
      request(cloud.apiUrl ?? '', { method, headers }, async (response) => {
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) })
      })
        .on('error', reject)
        .end(body)
    })
  }

  it('answers errors as the vendor does: 200, by name, with a request id', async () => {
    expect(await post({ 'content-type': 'application/json' })).toEqual({
      status: 200,
      body: {
        Response: {
          Error: { Code: 'AuthFailure.InvalidAuthorization', Message: expect.any(String) },
          RequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        },
      },
    })
  })

  it('a web page of another origin, or at a host name that was led here (DNS rebinding), can run no code', async () => {
    const { host } = new URL(cloud.apiUrl ?? '')
    for (const headers of [
      { origin: 'http://shop.example' },
      { host: 'shop.example' },
      { origin: cloud.cosUrl },
      { origin: cloud.controlUrl },
    ])
      expect((await post({ host, ...headers })).status).toBe(403)
  })

  it('a body beyond 10 MB is refused, before its signature is judged', async () => {
    const { body } = await post({}, 'x'.repeat(10 * 1024 ** 2 + 1))
    expect(body).toMatchObject({ Response: { Error: { Code: 'RequestSizeLimitExceeded' } } })
    expect((await post({}, '', 'GET')).body).toMatchObject({
      Response: { Error: { Code: 'UnsupportedProtocol' } },
    })
  })

  it('unknown actions, versions, regions and parameters are refused by name', async () => {
    await expect(api.scf('CreateAlias')).rejects.toEqual(refused('InvalidAction'))
    await expect(api.cam('ListFunctions')).rejects.toEqual(refused('InvalidAction'))
    await expect(api.scf('toString')).rejects.toEqual(refused('InvalidAction'))
    await expect(services(cloud.apiUrl ?? '', CREDENTIALS, 'ap-beijing').scf('ListFunctions')).rejects.toEqual(
      refused('UnsupportedRegion'),
    )
    await expect(api.scf('ListFunctions', { Limt: 1 })).rejects.toEqual(refused('UnknownParameter'))
    await expect(make({ VpcConfig: { VpcId: 'a' } })).rejects.toThrow(/VpcConfig/)
  })

  it('a version that every object has, such as constructor, is none', async () => {
    const { host } = new URL(cloud.apiUrl ?? '')
    const profile = { httpProfile: { protocol: 'http://' } }
    const client = new CommonClient(host, 'constructor', { credential: CREDENTIALS, region: REGION, profile })
    await expect(client.request('entries', {})).rejects.toEqual(refused('NoSuchVersion'))
  })

  it('a key that is not the owner’s, such as that of a browser’s uploads, may do nothing', async () => {
    await make({
      Environment: {
        Variables: [
          { Key: 'COS_BUCKET', Value: 'photos-1250000000' },
          { Key: 'COS_REGION', Value: 'ap-guangzhou' },
        ],
      },
    })
    const key = { secretId: 'local-upload', secretKey: 'local-secret' }
    await expect(services(cloud.apiUrl ?? '', key).scf('ListFunctions')).rejects.toEqual(
      refused('UnauthorizedOperation.CAM'),
    )
    await expect(services(cloud.apiUrl ?? '', key).cam('ListPolicies')).rejects.toEqual(
      refused('AuthFailure.UnauthorizedOperation'),
    )
    const stranger = { secretId: 'nobody', secretKey: 'local-secret' }
    await expect(services(cloud.apiUrl ?? '', stranger).scf('ListFunctions')).rejects.toEqual(
      refused('AuthFailure.SecretIdNotFound'),
    )
  })

  it('a fault gives an action the vendor’s error, or loses its answer when all is done', async () => {
    await fetch(`${cloud.controlUrl}/api/faults`, {
      method: 'PUT',
      body: JSON.stringify([{ on: 'GetRole', kind: 'error', code: 'UnauthorizedOperation.CAM' }]),
    })
    await expect(api.cam('GetRole', { RoleName: 'SCF_QcsRole' })).rejects.toEqual(refused('UnauthorizedOperation.CAM'))
    const RoleName = unique('role')
    cloud.faults.set([{ on: 'CreateRole', kind: 'lose-answer', times: 1 }])
    await expect(api.cam('CreateRole', { RoleName, PolicyDocument: TRUST })).rejects.toThrow()
    expect(await api.cam('GetRole', { RoleName })).toMatchObject({ RoleInfo: { RoleName } })
    cloud.faults.set([])
  })
})

describe('roles and policies', () => {
  const document = (action: string) =>
    JSON.stringify({ version: '2.0', statement: [{ effect: 'allow', action: [action], resource: ['*'] }] })

  it('are made once, found by name, changed, attached and taken away', async () => {
    const [RoleName, PolicyName] = [unique('role'), unique('policy')]
    await expect(api.cam('GetRole', { RoleName })).rejects.toEqual(refused('InvalidParameter.RoleNotExist'))
    const { RoleId } = await api.cam('CreateRole', { RoleName, PolicyDocument: TRUST, Description: 'of a test' })
    await expect(api.cam('CreateRole', { RoleName, PolicyDocument: TRUST })).rejects.toEqual(
      refused('InvalidParameter.RoleNameInUse'),
    )
    expect(await api.cam('GetRole', { RoleName })).toMatchObject({
      RoleInfo: {
        RoleId,
        PolicyDocument: TRUST,
        Description: 'of a test',
        RoleType: 'user',
        AddTime: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
      },
    })
    await expect(api.cam('UpdateAssumeRolePolicy', { RoleName, PolicyDocument: '{}' })).rejects.toEqual(
      refused('InvalidParameter.PrincipalError'),
    )

    const { PolicyId } = await api.cam('CreatePolicy', { PolicyName, PolicyDocument: document('name/cos:GetObject') })
    await expect(api.cam('CreatePolicy', { PolicyName, PolicyDocument: document('*') })).rejects.toEqual(
      refused('FailedOperation.PolicyNameInUse'),
    )
    await expect(
      api.cam('CreatePolicy', { PolicyName: unique('p'), PolicyDocument: '{"version":"1"}' }),
    ).rejects.toEqual(refused('InvalidParameter.PolicyDocumentError'))
    expect(await api.cam('ListPolicies', { Scope: 'Local', Keyword: PolicyName })).toMatchObject({
      TotalNum: 1,
      List: [{ PolicyId, PolicyName, Type: 1 }],
    })
    await api.cam('UpdatePolicy', { PolicyId, PolicyDocument: document('name/cos:PutObject') })
    expect(await api.cam('GetPolicy', { PolicyId })).toMatchObject({
      PolicyName,
      PolicyDocument: document('name/cos:PutObject'),
      Type: 1,
    })

    const attached = async () => Object((await api.cam('ListAttachedRolePolicies', { RoleName, Page: 1, Rp: 10 })).List)
    for (const _ of [1, 2]) await api.cam('AttachRolePolicy', { AttachRoleName: RoleName, PolicyId })
    expect(await attached()).toMatchObject([{ PolicyId, PolicyName, PolicyType: 'User' }])
    await api.cam('DetachRolePolicy', { DetachRoleName: RoleName, PolicyName })
    expect(await attached()).toEqual([])
    await api.cam('AttachRolePolicy', { AttachRoleName: RoleName, PolicyName })
    await api.cam('DeletePolicy', { PolicyId: [PolicyId] })
    expect(await attached()).toEqual([])
    await expect(api.cam('GetPolicy', { PolicyId })).rejects.toEqual(refused('ResourceNotFound.PolicyIdNotFound'))
    await api.cam('DeleteRole', { RoleName })
    await expect(api.cam('DeleteRole', { RoleName })).rejects.toEqual(refused('InvalidParameter.RoleNotExist'))
  })

  it('the platform’s own role and policy are there', async () => {
    expect(await api.cam('GetRole', { RoleName: 'SCF_QcsRole' })).toMatchObject({
      RoleInfo: { RoleType: 'system', PolicyDocument: TRUST },
    })
    expect(await api.cam('ListPolicies', { Scope: 'QCS' })).toMatchObject({
      List: [{ PolicyName: 'QcloudAccessForScfRole', Type: 2 }],
    })
  })

  it('a function has credentials by its role alone, and they may do what the policies of this very moment say', async () => {
    const [Role, PolicyName] = [unique('role'), unique('policy')]
    await expect(make({ Role })).rejects.toEqual(refused('ResourceNotFound.Role'))
    expect((await returned(await make())).key).toBe('')
    await api.cam('CreateRole', { RoleName: Role, PolicyDocument: TRUST })
    const name = await make({ Role })
    const { key } = await returned(name)
    expect(key).toMatch(/^local-role-/)
    const document = JSON.stringify({
      version: '2.0',
      statement: [{ effect: 'allow', action: 'cos:HeadBucket', resource: '*' }],
    })
    const { PolicyId } = await api.cam('CreatePolicy', { PolicyName, PolicyDocument: document })
    // A COS request with the function's own key, from within.
    const head = `const { createHmac, createHash } = require('node:crypto')
      exports.main_handler = async () => {
        const { TENCENTCLOUD_SECRETID: id, TENCENTCLOUD_SECRETKEY: key, TENCENTCLOUD_SESSIONTOKEN: token, COS_ENDPOINT } = process.env
        const now = Math.floor(Date.now() / 1000), time = (now - 60) + ';' + (now + 60)
        const mac = (k, t) => createHmac('sha1', k).update(t).digest('hex')
        const text = 'sha1\\n' + time + '\\n' + createHash('sha1').update('head\\n/\\n\\n\\n').digest('hex') + '\\n'
        const authorization = 'q-sign-algorithm=sha1&q-ak=' + id + '&q-sign-time=' + time + '&q-key-time=' + time +
          '&q-header-list=&q-url-param-list=&q-signature=' + mac(mac(key, time), text)
        const { status } = await fetch(COS_ENDPOINT, { method: 'HEAD', headers: { authorization, 'x-cos-security-token': token } })
        return { status }
      }`
    await api.scf('UpdateFunctionCode', { FunctionName: name, ZipFile: zipFile({ name: 'index.js', data: head }) })
    await settled(api, name)
    expect(await returned(name)).toEqual({ status: 403 })
    await api.cam('AttachRolePolicy', { AttachRoleName: Role, PolicyId })
    expect(await returned(name)).toEqual({ status: 200 })
    await api.cam('DetachRolePolicy', { DetachRoleName: Role, PolicyId })
    expect(await returned(name)).toEqual({ status: 403 })
    // A role that SCF may not take on is none.
    const PolicyDocument = TRUST.replace('scf.qcloud.com', 'cls.cloud.tencent.com')
    await api.cam('UpdateAssumeRolePolicy', { RoleName: Role, PolicyDocument })
    await api.scf('UpdateFunctionCode', { FunctionName: name, ZipFile: code() })
    await settled(api, name)
    expect((await returned(name)).key).toBe('')
  })
})

describe('functions', () => {
  it('are created, and may be used once they are Active', async () => {
    const FunctionName = unique('fn')
    await expect(api.scf('GetFunction', { FunctionName })).rejects.toEqual(refused('ResourceNotFound.Function'))
    const Environment = { Variables: [{ Key: 'GREETING', Value: 'hello' }] }
    const Code = { ZipFile: code() }
    const wanted = {
      FunctionName,
      Code,
      Runtime: 'Nodejs18.15',
      Handler: 'index.main_handler',
      Timeout: 7,
      MemorySize: 256,
      Environment,
      Description: 'of a test',
    }
    await api.scf('CreateFunction', wanted)
    await expect(api.scf('CreateFunction', wanted)).rejects.toEqual(refused('ResourceInUse.Function'))
    await expect(run(FunctionName)).rejects.toEqual(refused('FailedOperation.FunctionStatusError'))
    await expect(api.scf('DeleteFunction', { FunctionName })).rejects.toEqual(refused('FailedOperation.DeleteFunction'))
    await expect(api.scf('CreateTrigger', cosTrigger(FunctionName, 'cos:ObjectCreated:*', 'a/'))).rejects.toEqual(
      refused('FailedOperation.CreateTrigger'),
    )
    expect(await settled(api, FunctionName)).toEqual(['Creating', 'Active'])
    expect(await api.scf('GetFunction', { FunctionName })).toMatchObject({
      FunctionName,
      Status: 'Active',
      Runtime: 'Nodejs18.15',
      Timeout: 7,
      MemorySize: 256,
      Environment,
      Description: 'of a test',
      Handler: 'index.main_handler',
      Triggers: [],
      Type: 'Event',
    })
    expect(await api.scf('ListFunctions', { SearchKey: FunctionName })).toMatchObject({
      TotalCount: 1,
      Functions: [{ FunctionName, Status: 'Active' }],
    })
    expect(await returned(FunctionName, { a: 1 })).toMatchObject({ body: 'one hello', event: { a: 1 }, limit: 7_000 })
  })

  it('run their new code and variables only once an update is done; until then the ones before', async () => {
    const name = await make({ Environment: { Variables: [{ Key: 'GREETING', Value: 'hello' }] } })
    const body = async () => (await returned(name)).body
    expect(await body()).toBe('one hello')
    await api.scf('UpdateFunctionCode', { FunctionName: name, ZipFile: code('two') })
    expect(await body()).toBe('one hello')
    await expect(api.scf('UpdateFunctionConfiguration', { FunctionName: name, Timeout: 9 })).rejects.toEqual(
      refused('FailedOperation.UpdateFunctionConfiguration'),
    )
    expect(await settled(api, name)).toEqual(['Updating', 'Active'])
    expect(await body()).toBe('two hello')
    // What is not named stays; variables are replaced as a whole.
    await api.scf('UpdateFunctionConfiguration', { FunctionName: name, Timeout: 9 })
    await settled(api, name)
    expect(await returned(name)).toMatchObject({ body: 'two hello', limit: 9_000 })
    await api.scf('UpdateFunctionConfiguration', {
      FunctionName: name,
      Environment: { Variables: [{ Key: 'OTHER', Value: 'x' }] },
    })
    await settled(api, name)
    expect(await body()).toBe('two ')
    await expect(
      api.scf('UpdateFunctionConfiguration', { FunctionName: name, Runtime: 'Nodejs16.13' }),
    ).rejects.toEqual(refused('InvalidParameterValue.Runtime'))
    await api.scf('DeleteFunction', { FunctionName: name })
    await expect(run(name)).rejects.toEqual(refused('ResourceNotFound.Function'))
  })

  it('may fail to be created or updated: then they are gone again, or run as before', async () => {
    const name = await make()
    cloud.faults.set([
      { on: 'CreateFunction', kind: 'drop-result' },
      { on: 'UpdateFunctionCode', kind: 'drop-result' },
    ])
    const FunctionName = unique('fn')
    await api.scf('CreateFunction', { FunctionName, Code: { ZipFile: code() }, Runtime: 'Nodejs20.19' })
    expect(await settled(api, FunctionName)).toEqual(['Creating', 'CreateFailed'])
    expect(await api.scf('GetFunction', { FunctionName })).toMatchObject({
      StatusReasons: [{ ErrorCode: 'InternalError' }],
    })
    await expect(run(FunctionName)).rejects.toEqual(refused('FailedOperation.FunctionStatusError'))
    await api.scf('DeleteFunction', { FunctionName })
    await api.scf('UpdateFunctionCode', { FunctionName: name, ZipFile: code('two') })
    expect(await settled(api, name)).toEqual(['Updating', 'UpdateFailed'])
    expect((await returned(name)).body).toBe('one ')
    cloud.faults.set([])
    await api.scf('UpdateFunctionCode', { FunctionName: name, ZipFile: code('three') })
    expect(await settled(api, name)).toEqual(['Updating', 'Active'])
    expect((await returned(name)).body).toBe('three ')
  })

  it.each([
    ['FunctionName', 'a_', 'InvalidParameter.FunctionName'],
    ['Handler', '../index.main_handler', 'InvalidParameterValue.Handler'],
    ['Runtime', 'Nodejs99.1', 'InvalidParameterValue.Runtime'],
    ['MemorySize', 200, 'InvalidParameterValue.MemorySize'],
    ['Timeout', 901, 'LimitExceeded.Timeout'],
    ['Timeout', '3', 'InvalidParameter'],
    [
      'Environment',
      { Variables: [{ Key: 'A', Value: 'x'.repeat(4096) }] },
      'InvalidParameterValue.EnvironmentExceededLimit',
    ],
    [
      'Environment',
      { Variables: [{ Key: 'TENCENTCLOUD_X', Value: 'x' }] },
      'InvalidParameterValue.EnvironmentSystemProtect',
    ],
    ['Environment', { Variables: [{ Key: 'A', Value: '' }] }, 'InvalidParameterValue.Environment'],
    ['DeadLetterConfig', { Type: 'KAFKA', Name: 'a' }, 'InvalidParameterValue.DeadLetterConfig'],
    ['ClsTopicId', 'none', 'InvalidParameterValue.Cls'],
    ['Type', 'HTTP', 'UnsupportedOperation'],
    ['Code', {}, 'MissingParameter.Code'],
  ])('with %s %j are refused by name', async (name, value, error) => {
    await expect(make({ [name]: value })).rejects.toEqual(refused(error))
  })

  it('answer a call with what they return, what they throw, and their log; later, if that is wanted', async () => {
    const name = await make()
    expect(await run(name, { a: 1 })).toMatchObject({
      InvokeResult: 0,
      ErrMsg: '',
      Log: 'seen {"a":1}',
      FunctionRequestId: expect.any(String),
    })
    const failed = await run(name, { fail: true })
    expect(failed).toMatchObject({
      InvokeResult: -1,
      RetMsg: JSON.stringify({ errorCode: -1, errorMessage: 'Error: as told' }),
    })
    const { Result } = await api.scf('Invoke', {
      FunctionName: name,
      InvocationType: 'Event',
      ClientContext: '{"b":2}',
    })
    expect(Result).toMatchObject({ RetMsg: '', Log: '', FunctionRequestId: expect.any(String) })
    await cloud.scf.idle()
    expect(cloud.scf.invocations().at(-1)).toMatchObject({ function: name, outcome: 'ok', logs: ['seen {"b":2}'] })
    await expect(api.scf('Invoke', { FunctionName: name, ClientContext: '{' })).rejects.toEqual(
      refused('InvalidParameterValue.Param'),
    )
    const much = JSON.stringify('x'.repeat(128 * 1024))
    await expect(
      api.scf('Invoke', { FunctionName: name, InvocationType: 'Event', ClientContext: much }),
    ).rejects.toEqual(refused('InvalidParameter.Payload'))
  })

  it('deliver a failed event again as often as they say, and keep what was given up only with a dead-letter queue', async () => {
    const letters = { Type: 'CMQ-QUEUE', Name: 'lost' }
    for (const [RetryNum, more, kept] of [
      [0, {}, 0],
      [2, {}, 0],
      [1, { DeadLetterConfig: letters }, 1],
    ] as const) {
      const FunctionName = await make(more)
      const AsyncTriggerConfig = { RetryConfig: [{ RetryNum }], MsgTTL: 600 }
      await api.scf('UpdateFunctionEventInvokeConfig', { FunctionName, AsyncTriggerConfig })
      expect(await api.scf('GetFunctionEventInvokeConfig', { FunctionName })).toMatchObject({ AsyncTriggerConfig })
      await api.scf('Invoke', { FunctionName, InvocationType: 'Event', ClientContext: '{"fail":true}' })
      await cloud.scf.idle()
      expect(cloud.scf.invocations().filter((one) => one.function === FunctionName)).toHaveLength(RetryNum + 1)
      expect(cloud.scf.deadLetters().filter((letter) => letter.function === FunctionName)).toHaveLength(kept)
    }
    const FunctionName = await make()
    expect(await api.scf('GetFunctionEventInvokeConfig', { FunctionName })).toMatchObject({
      AsyncTriggerConfig: { RetryConfig: [{ RetryNum: 2 }], MsgTTL: 21_600 },
    })
    const config = (RetryNum: number, MsgTTL: number) => ({
      FunctionName,
      AsyncTriggerConfig: { RetryConfig: [{ RetryNum }], MsgTTL },
    })
    await expect(api.scf('UpdateFunctionEventInvokeConfig', config(3, 60))).rejects.toEqual(
      refused('LimitExceeded.RetryNum'),
    )
    await expect(api.scf('UpdateFunctionEventInvokeConfig', config(1, 59))).rejects.toEqual(
      refused('LimitExceeded.MsgTTL'),
    )
  })

  it('with a reservation of 0 do not run; events wait for them, and are not counted as failed', async () => {
    const FunctionName = await make()
    await api.scf('UpdateFunctionEventInvokeConfig', {
      FunctionName,
      AsyncTriggerConfig: { RetryConfig: [{ RetryNum: 0 }], MsgTTL: 600 },
    })
    expect(await api.scf('GetReservedConcurrencyConfig', { FunctionName })).toMatchObject({ ReservedMem: null })
    await api.scf('PutReservedConcurrencyConfig', { FunctionName, ReservedConcurrencyMem: 0 })
    expect(await api.scf('GetReservedConcurrencyConfig', { FunctionName })).toMatchObject({ ReservedMem: 0 })
    expect(await run(FunctionName)).toMatchObject({
      InvokeResult: 432,
      RetMsg: expect.stringContaining('ResourceLimitReached'),
    })
    await api.scf('Invoke', { FunctionName, InvocationType: 'Event', ClientContext: '{}' })
    const ran = () => cloud.scf.invocations().filter((one) => one.function === FunctionName).length
    expect([ran(), cloud.scf.waiting()]).toEqual([0, 1])
    await api.scf('DeleteReservedConcurrencyConfig', { FunctionName })
    await cloud.scf.idle()
    expect(ran()).toBe(1)
    await expect(api.scf('PutReservedConcurrencyConfig', { FunctionName, ReservedConcurrencyMem: 64 })).rejects.toEqual(
      refused('InvalidParameterValue.Memory'),
    )
    await expect(
      api.scf('PutReservedConcurrencyConfig', { FunctionName, ReservedConcurrencyMem: 200_000 }),
    ).rejects.toEqual(refused('LimitExceeded.FunctionReservedConcurrencyMemory'))
    // Events are kept for as long as MsgTTL says.
    await api.scf('PutReservedConcurrencyConfig', { FunctionName, ReservedConcurrencyMem: 0 })
    const AsyncTriggerConfig = { RetryConfig: [{ RetryNum: 2 }], MsgTTL: 60 }
    await api.scf('UpdateFunctionEventInvokeConfig', { FunctionName, AsyncTriggerConfig })
    await api.scf('Invoke', { FunctionName, InvocationType: 'Event', ClientContext: '{}' })
    expect(cloud.scf.waiting()).toBe(1)
    cloud.clock.advance(60_000)
    await cloud.scf.idle()
    expect(ran()).toBe(1)
    // Enough for one: the second waits for the first's instance.
    await api.scf('PutReservedConcurrencyConfig', { FunctionName, ReservedConcurrencyMem: 128 })
    await Promise.all([run(FunctionName), run(FunctionName), run(FunctionName)])
    const instances = cloud.scf
      .invocations()
      .filter((one) => one.function === FunctionName)
      .map(({ instance }) => instance)
    expect(new Set(instances).size).toBe(1)
  })
})

describe('the code of a function', () => {
  const at = async (...entries: Parameters<typeof zipFile>) => {
    const before = await readdir(join(cloud.data, 'api/code'))
    await expect(make({ Code: { ZipFile: zipFile(...entries) } })).rejects.toEqual(
      refused('InvalidParameterValue.ZipFile'),
    )
    expect(await readdir(join(cloud.data, 'api/code'))).toEqual(before)
  }

  it.each(['../out.js', 'a/../../out.js', '/out.js', 'C:/out.js', 'a\\..\\..\\out.js', 'a\0b'])(
    'cannot leave its folder by the name %j (zip slip)',
    (name) => at({ name: 'index.js' }, { name, data: 'x' }),
  )

  it('can hold no symbolic link, through which what follows would be written elsewhere', () =>
    at({ name: 'index.js' }, { name: 'out', data: '/tmp', mode: 0o120777 }))

  it('cannot grow beyond what it says, nor beyond the bound (zip bomb)', async () => {
    await at({ name: 'index.js', data: Buffer.alloc(1_000_000), size: 10 })
    await at({ name: 'index.js', size: 2 ** 31 })
    const two = zipFile({ name: 'a.js', data: 'x'.repeat(60) }, { name: 'b.js', data: 'x'.repeat(60) })
    const dir = join(cloud.data, 'unpacked')
    await expect(unpack(two, dir, 119)).rejects.toThrow(/larger than 119 bytes/)
    expect(await unpack(two, dir, 120)).toBe(Buffer.from(two, 'base64').length)
  })

  it('cannot hold a name twice', () => at({ name: 'index.js', data: 'a' }, { name: 'index.js', data: 'b' }))

  it('must be base64 of a zip', async () => {
    await expect(make({ Code: { ZipFile: 'no base64!' } })).rejects.toEqual(
      refused('InvalidParameterValue.ZipFileBase64BinasciiError'),
    )
    await expect(make({ Code: { ZipFile: 'AAAA' } })).rejects.toEqual(refused('InvalidParameterValue.ZipFile'))
  })

  it('is CommonJS where no package.json says otherwise, as in SCF; folders are unpacked too', async () => {
    // As the folder has it that the local cloud is started in.
    await writeFile(join(cloud.data, 'package.json'), '{ "type": "module" }')
    const name = await make({
      Code: {
        ZipFile: zipFile(
          { name: 'lib/', mode: 0o40755 },
          { name: 'lib/a.js', data: 'module.exports = 5' },
          { name: 'index.js', data: "exports.main_handler = async () => ({ a: require('./lib/a.js') })" },
        ),
      },
    })
    expect(await returned(name)).toEqual({ a: 5 })
  })
})

it('states last as many looks as is set, and runtimes are those that are set', async () => {
  const dir = await mkdtemp(join(cloud.data, 'api-'))
  const nothing = { apply: () => {}, push: async () => '', run: () => Promise.reject(new Error('none')) }
  const keys = new Map([[CREDENTIALS.secretId, { secret: CREDENTIALS.secretKey }]])
  const others = {
    faults: createFaults(),
    now: Date.now,
    url: '',
    hasBucket: () => false,
    platform: nothing,
    region: REGION,
  }
  for (const polls of [0, 3]) {
    const other = await startApi({ dir, port: 0, keys, polls, runtimes: ['Nodejs16.13'], ...others })
    const { scf } = services(`http://127.0.0.1:${other.port}`)
    const FunctionName = unique('fn')
    const wanted = { FunctionName, Code: { ZipFile: code() }, Handler: 'index.main_handler' }
    await expect(scf('CreateFunction', { ...wanted, Runtime: 'Nodejs20.19' })).rejects.toEqual(
      refused('InvalidParameterValue.Runtime'),
    )
    await scf('CreateFunction', { ...wanted, Runtime: 'Nodejs16.13' })
    const states: unknown[] = []
    for (let look = 0; look < 4; look++) states.push((await scf('GetFunction', { FunctionName })).Status)
    expect(states.filter((state) => state === 'Creating')).toHaveLength(polls)
    expect(states.at(-1)).toBe('Active')
    other.close()
  }
})

describe('cos triggers', () => {
  it('deliver objects to their function, until they are deleted', async () => {
    const name = await make()
    const made = cosTrigger(name, 'cos:ObjectCreated:*', 'one/', '.jpg')
    const { TriggerInfo } = await api.scf('CreateTrigger', made)
    const desc = { bucketUrl: BUCKET_URL, event: 'cos:ObjectCreated:*', filter: { Prefix: 'one/', Suffix: '.jpg' } }
    const info = {
      Type: 'cos',
      TriggerName: BUCKET_URL,
      Enable: 1,
      Qualifier: '$DEFAULT',
      AvailableStatus: 'Available',
    }
    expect(TriggerInfo).toMatchObject(info)
    const { Triggers, TotalCount } = await api.scf('ListTriggers', { FunctionName: name })
    expect([TotalCount, Triggers]).toMatchObject([
      1,
      [{ ...info, AddTime: expect.any(String), ModTime: expect.any(String) }],
    ])
    expect(JSON.parse(Object(Triggers)[0].TriggerDesc)).toEqual(desc)
    expect(await api.scf('GetFunction', { FunctionName: name })).toMatchObject({ Triggers: [info] })
    const ran = () => cloud.scf.invocations().filter((one) => one.function === name).length
    for (const key of ['one/a.jpg', 'one/a.png', 'two/a.jpg']) await cloud.upload(key, Buffer.from('x'))
    expect(ran()).toBe(1)
    const closed = cosTrigger(name, 'cos:ObjectCreated:*', 'shut/')
    expect(await api.scf('CreateTrigger', { ...closed, Enable: 'CLOSE' })).toMatchObject({ TriggerInfo: { Enable: 0 } })
    await cloud.upload('shut/a.jpg', Buffer.from('x'))
    expect(ran()).toBe(1)
    await api.scf('DeleteTrigger', { ...closed, Enable: undefined })
    await api.scf('DeleteTrigger', {
      ...made,
      Enable: undefined,
      TriggerDesc: JSON.stringify({ event: 'cos:ObjectCreated:*' }),
    })
    await cloud.upload('one/b.jpg', Buffer.from('x'))
    expect(ran()).toBe(1)
    await expect(api.scf('DeleteTrigger', { ...made, Enable: undefined })).rejects.toEqual(
      refused('ResourceNotFound.Trigger'),
    )
  })

  it('whose events overlap those of another trigger of the bucket are refused; beside each other they stand', async () => {
    const [first, second] = [await make(), await make()]
    await api.scf('CreateTrigger', cosTrigger(first, 'cos:ObjectCreated:*', 'lap/a/', '.jpg'))
    for (const [event, prefix, suffix] of [
      ['cos:ObjectCreated:*', 'lap/a/', '.jpg'],
      ['cos:ObjectCreated:Put', 'lap/a/', '.jpg'],
      ['cos:ObjectCreated:*', 'lap/', '.jpg'],
      ['cos:ObjectCreated:*', 'lap/a/deep/', ''],
      ['cos:ObjectCreated:*', 'lap/', 'pg'],
    ] as const)
      await expect(api.scf('CreateTrigger', cosTrigger(second, event, prefix, suffix))).rejects.toEqual(
        refused('ResourceInUse.Cos'),
      )
    await expect(api.scf('CreateTrigger', cosTrigger(first, 'cos:ObjectCreated:*', 'lap/a/', '.jpg'))).rejects.toEqual(
      refused('ResourceInUse.Trigger'),
    )
    await expect(api.scf('CreateTrigger', cosTrigger(first, 'cos:ObjectCreated:*', 'lap/', ''))).rejects.toEqual(
      refused('ResourceInUse.Cos'),
    )
    for (const [event, prefix, suffix] of [
      ['cos:ObjectRemove:*', 'lap/a/', '.jpg'],
      ['cos:ObjectCreated:*', 'lap/b/', '.jpg'],
      ['cos:ObjectCreated:*', 'lap/a/', '.png'],
    ] as const)
      await api.scf('CreateTrigger', cosTrigger(second, event, prefix, suffix))
    expect(await api.scf('ListTriggers', { FunctionName: second })).toMatchObject({ TotalCount: 3 })
    // Two differ in their filter alone, so the event is not enough to tell which is meant.
    const named = { ...cosTrigger(second, '', ''), Enable: undefined, TriggerDesc: '{"event":"cos:ObjectCreated:*"}' }
    await expect(api.scf('DeleteTrigger', named)).rejects.toEqual(refused('InvalidParameterValue.TriggerDesc'))
    await api.scf('DeleteFunction', { FunctionName: second })
    await api.scf('CreateTrigger', cosTrigger(first, 'cos:ObjectCreated:*', 'lap/b/', '.jpg'))
  })

  it('cannot be updated; and are refused for what is not there', async () => {
    const name = await make()
    const wanted = cosTrigger(name, 'cos:ObjectCreated:*', 'none/')
    await expect(api.scf('UpdateTrigger', wanted)).rejects.toEqual(refused('InvalidParameterValue.Type'))
    await expect(
      api.scf('CreateTrigger', { ...wanted, TriggerName: BUCKET_URL.replace('photos', 'others') }),
    ).rejects.toEqual(refused('ResourceNotFound.Cos'))
    await expect(api.scf('CreateTrigger', { ...wanted, TriggerName: 'mine' })).rejects.toEqual(
      refused('InvalidParameterValue.TriggerName'),
    )
    await expect(api.scf('CreateTrigger', { ...wanted, TriggerDesc: '{"event":"cos:All"}' })).rejects.toEqual(
      refused('InvalidParameterValue.TriggerDesc'),
    )
    await expect(api.scf('CreateTrigger', { ...wanted, FunctionName: 'nobody' })).rejects.toEqual(
      refused('ResourceNotFound.Function'),
    )
    await expect(api.scf('CreateTrigger', { ...wanted, Type: 'timer' })).rejects.toThrow(/timer/)
    await expect(api.scf('CreateTrigger', { ...wanted, Enable: 'ON' })).rejects.toEqual(
      refused('InvalidParameterValue.Enable'),
    )
  })
})

describe('a function URL', () => {
  const Type = 'http'
  const desc = (EnableExtranet: boolean) =>
    JSON.stringify({ AuthType: 'NONE', NetConfig: { EnableIntranet: false, EnableExtranet } })

  it('is 404 until a function is deployed with one, then answers, and is closed and opened by an update', async () => {
    expect(await cloud.image('/plain/a.jpg')).toMatchObject({
      status: 404,
      body: expect.stringMatching(/No function has a URL yet/),
    })
    const FunctionName = await make({ Environment: { Variables: [{ Key: 'GREETING', Value: 'hello' }] } })
    const named = { FunctionName, TriggerName: 'url', Type, Qualifier: '$DEFAULT' }
    const { TriggerInfo } = await api.scf('CreateTrigger', { ...named, TriggerDesc: desc(true), Enable: 'OPEN' })
    expect(JSON.parse(Object(TriggerInfo).TriggerDesc)).toEqual({
      AuthType: 'NONE',
      NetConfig: { EnableIntranet: false, EnableExtranet: true, IntranetUrl: '', ExtranetUrl: cloud.imageUrl },
    })
    expect(await cloud.image('/plain/a.jpg')).toMatchObject({ status: 200, body: 'one hello' })
    await expect(api.scf('CreateTrigger', { ...named, TriggerDesc: desc(true) })).rejects.toEqual(
      refused('ResourceInUse.Trigger'),
    )
    await api.scf('UpdateTrigger', { ...named, TriggerDesc: desc(false) })
    expect((await cloud.image('/')).status).toBe(404)
    await api.scf('UpdateTrigger', { ...named, TriggerDesc: desc(true) })
    expect((await cloud.image('/')).status).toBe(200)
    await api.scf('PutReservedConcurrencyConfig', { FunctionName, ReservedConcurrencyMem: 0 })
    expect((await cloud.image('/')).status).toBe(432)
    await api.scf('DeleteTrigger', named)
    expect((await cloud.image('/')).status).toBe(404)
  })

  it('with CAM for its key is refused by name', async () => {
    const wanted = { FunctionName: await make(), TriggerName: 'url', Type }
    const TriggerDesc = desc(true).replace('NONE', 'CAM')
    await expect(api.scf('CreateTrigger', { ...wanted, TriggerDesc })).rejects.toThrow(/CAM/)
  })
})

it('log topics are made once, found by name, and used by functions', async () => {
  const [LogsetName, TopicName] = [unique('set'), unique('topic')]
  const { LogsetId } = await api.cls('CreateLogset', { LogsetName })
  await expect(api.cls('CreateLogset', { LogsetName })).rejects.toEqual(refused('InvalidParameter.LogsetConflict'))
  expect(await api.cls('DescribeLogsets', { Filters: [{ Key: 'logsetName', Values: [LogsetName] }] })).toMatchObject({
    TotalCount: 1,
    Logsets: [{ LogsetId, LogsetName }],
  })
  const { TopicId } = await api.cls('CreateTopic', { LogsetId, TopicName, Period: 7 })
  await expect(api.cls('CreateTopic', { LogsetId, TopicName })).rejects.toEqual(
    refused('InvalidParameter.TopicConflict'),
  )
  await expect(api.cls('CreateTopic', { LogsetId: 'none', TopicName })).rejects.toEqual(
    refused('ResourceNotFound.LogsetNotExist'),
  )
  const Filters = [{ Key: 'topicName', Values: [TopicName] }]
  expect(await api.cls('DescribeTopics', { Filters })).toMatchObject({
    TotalCount: 1,
    Topics: [{ TopicId, LogsetId, Index: false, Period: 7 }],
  })
  await expect(api.cls('DescribeIndex', { TopicId })).rejects.toEqual(refused('ResourceNotFound.IndexNotExist'))
  const Rule = { FullText: { CaseSensitive: false, Tokenizer: ' ', ContainZH: true } }
  await api.cls('CreateIndex', { TopicId, Rule, Status: true })
  await expect(api.cls('CreateIndex', { TopicId, Rule })).rejects.toEqual(refused('InvalidParameter.IndexConflict'))
  expect(await api.cls('DescribeIndex', { TopicId })).toMatchObject({ TopicId, Status: true, Rule })
  const FunctionName = await make({ ClsLogsetId: LogsetId, ClsTopicId: TopicId })
  expect(await api.scf('GetFunction', { FunctionName })).toMatchObject({ ClsLogsetId: LogsetId, ClsTopicId: TopicId })
})

it('the functions as they are built are deployed: a photo is cut out by trigger and by URL, and each is paid once', async () => {
  const [Role, PolicyName] = [unique('role'), unique('policy')]
  const variables = {
    COS_BUCKET: BUCKET,
    COS_REGION: REGION,
    SOURCE_PREFIXES: 'shop/',
    ACCESS: 'open',
    ON_UPLOAD: 'shop/: plain',
  }
  const document = JSON.stringify(rolePolicy(readConfig(variables)))
  await api.cam('CreateRole', { RoleName: Role, PolicyDocument: TRUST })
  await api.cam('CreatePolicy', { PolicyName, PolicyDocument: document })
  await api.cam('AttachRolePolicy', { AttachRoleName: Role, PolicyName })
  const Environment = { Variables: Object.entries(variables).map(([Key, Value]) => ({ Key, Value })) }
  const make = async (file: string) => {
    const FunctionName = unique(file)
    const files = await Promise.all(
      [`${file}.js`, 'package.json'].map(async (name) => ({ name, data: await readFile(join('dist', name)) })),
    )
    const Code = { ZipFile: zipFile(...files) }
    await api.scf('CreateFunction', {
      FunctionName,
      Code,
      Role,
      Environment,
      Runtime: 'Nodejs20.19',
      Handler: `${file}.main_handler`,
      Timeout: 60,
      MemorySize: 256,
    })
    expect(await settled(api, FunctionName)).toEqual(['Creating', 'Active'])
    return FunctionName
  }
  const [upload, image] = [await make('upload'), await make('image')]
  await api.scf('CreateTrigger', cosTrigger(upload, 'cos:ObjectCreated:*', 'shop/'))
  const TriggerDesc = JSON.stringify({ AuthType: 'NONE', NetConfig: { EnableIntranet: false, EnableExtranet: true } })
  await api.scf('CreateTrigger', {
    FunctionName: image,
    TriggerName: 'url',
    Type: 'http',
    TriggerDesc,
    Qualifier: '$DEFAULT',
  })
  await cloud.upload('shop/mug.jpg', await photo())
  expect(await cloud.keys('cutouts/')).toHaveLength(1)
  expect(cloud.cos.bill()).toHaveLength(1)
  expect(await cloud.image('/plain/shop/mug.jpg')).toMatchObject({ status: 302, headers: { 'x-matting': 'hit' } })
  expect(await cloud.image('/center-layout=1/shop/mug.jpg')).toMatchObject({
    status: 302,
    headers: { 'x-matting': 'made' },
  })
  expect(cloud.cos.bill()).toHaveLength(2)
  await api.scf('DeleteFunction', { FunctionName: image })
  expect((await cloud.image('/plain/shop/mug.jpg')).status).toBe(404)
})

it('an event that waited while the local cloud was down waits until the functions are known again', async () => {
  const dir = await mkdtemp(join(cloud.data, 'events-'))
  const clock = createClock()
  const before = await createQueue({ dir, invoke: async () => {}, retries: 0, retryDelay: 0, clock })
  await before.push('probe', { a: 1 }, 60_000)
  await before.close()
  let known = () => {}
  const ready = new Promise<void>((resolve) => {
    known = resolve
  })
  const dist = new URL('fixtures/functions/', import.meta.url)
  const nobody = {
    keys: new Map(),
    policies: new Map(),
    hosts: new Map(),
    pages: { ports: new Set<number>(), origins: [] },
  }
  const scf = await startScf({
    ...nobody,
    serverless: { functions: [], cosTriggers: [], urls: [] },
    ready,
    dist,
    dir,
    port: 0,
    faults: createFaults(),
    clock,
    instances: 1,
    retryDelay: 0,
    eventKeys: 'raw',
    paths: 'raw',
    variables: 'process',
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  const spec = { name: 'probe', handler: 'probe.main_handler', timeout: 5, memory: 128, environment: {} }
  scf.apply({ functions: [spec], cosTriggers: [], urls: [] })
  known()
  await scf.idle()
  expect(scf.invocations()).toMatchObject([{ function: 'probe', outcome: 'ok' }])
  await scf.close()
})

// Last: it ends the cloud that the others use.
it('what is deployed, and what waits for it, survives a restart; a file that describes no account does not start', async () => {
  const FunctionName = await make({ Environment: { Variables: [{ Key: 'GREETING', Value: 'again' }] } })
  await api.scf('CreateTrigger', cosTrigger(FunctionName, 'cos:ObjectCreated:*', 'again/'))
  await api.scf('PutReservedConcurrencyConfig', { FunctionName, ReservedConcurrencyMem: 0 })
  await api.scf('Invoke', { FunctionName, InvocationType: 'Event', ClientContext: '{"left":1}' })
  await api.scf('DeleteReservedConcurrencyConfig', { FunctionName })
  await api.scf('UpdateFunctionCode', { FunctionName, ZipFile: code('two') })
  await cloud.stop()
  const { data } = cloud
  cloud = await startTestCloud({ empty: true, data })
  api = services(cloud.apiUrl ?? '')
  await cloud.scf.idle()
  expect(cloud.scf.invocations().flatMap(({ logs }) => logs)).toEqual(['seen {"left":1}'])
  expect(await api.scf('GetFunction', { FunctionName })).toMatchObject({ Status: 'Active' })
  expect((await returned(FunctionName)).body).toBe('two again')
  await cloud.upload('again/a.jpg', Buffer.from('x'))
  expect(cloud.scf.invocations()).toHaveLength(3)
  await cloud.stop()
  const file = join(data, 'api/account.json')
  const account = { version: 1, next: 1, roles: [], policies: [], triggers: [], logsets: [], topics: [] }
  const [good, evil] = [{ code: randomUUID() }, { code: '../..' }]
  for (const one of [{ wanted: evil, live: good }, { wanted: good, live: evil }, { wanted: evil }, 'fn']) {
    await writeFile(file, JSON.stringify({ ...account, functions: [one] }))
    await expect(startTestCloud({ empty: true, data })).rejects.toThrow('account.json does not describe an account.')
  }
})
