import { randomUUID } from 'node:crypto'
import { beijing, type FunctionRecord, type Settings } from './account.ts'
import type { Action, Call } from './action.ts'
import { ApiError } from './error.ts'
import { ANY, Parameters, page } from './parameters.ts'
import { checkReady, deploy, findFunction, settle } from './running.ts'
import { OTHER_SETTINGS, readSettings, SETTINGS } from './settings.ts'
import { triggerInfo } from './trigger.ts'
import { unpack } from './zip.ts'

type Values = Readonly<Record<string, unknown>>

const MAX_FUNCTIONS = 50
const FUNCTION_NAME = /^[A-Za-z][\w-]{0,58}[A-Za-z0-9]$/

const NEW: Settings = {
  code: '',
  size: 0,
  handler: 'index.main_handler',
  runtime: '',
  memory: 128,
  timeout: 3,
  initTimeout: 65,
  description: '',
  role: '',
  environment: [],
  logset: '',
  topic: '',
}

/** Serverless Cloud Functions, 2018-04-16: functions and their code (product/583/18586 and its neighbours). */
export const FUNCTIONS: Readonly<Record<string, Action>> = {
  async CreateFunction(call, values: Values) {
    const others = {
      ...OTHER_SETTINGS,
      Type: ['Event'],
      CodeSource: ['ZipFile'],
      AsyncRunEnable: ['FALSE'],
      TraceEnable: ['FALSE'],
      AutoDeployClsTopicIndex: ['FALSE'],
      AutoCreateClsTopic: ['FALSE'],
      ProtocolType: [],
    }
    const p = new Parameters(values, ['FunctionName', 'Code', 'Tags', ...SETTINGS], others)
    const { state } = call.account
    const name = p.need('FunctionName', p.text('FunctionName'))
    if (!FUNCTION_NAME.test(name)) throw new ApiError('InvalidParameter.FunctionName', 'FunctionName is not valid.')
    const exists = () => state.functions.some((one) => one.name === name)
    const inUse = new ApiError('ResourceInUse.Function', `The function ${name} exists.`)
    if (exists()) throw inUse
    if (state.functions.length >= MAX_FUNCTIONS)
      throw new ApiError('LimitExceeded.Function', `There are ${MAX_FUNCTIONS} functions.`)
    if (!p.has('Runtime')) throw new ApiError('MissingParameter.Runtime', 'Runtime is missing.')
    if (!p.has('Code')) throw new ApiError('MissingParameter.Code', 'Code is missing.')
    const settings = readSettings(call, p, NEW)
    const wanted = { ...settings, ...(await readCode(call, p.object('Code') ?? {})) }
    // Meanwhile somebody else may have made it.
    if (exists()) throw inUse
    const times = { added: call.now, modified: call.now }
    const made: FunctionRecord = {
      name,
      id: `lam-${randomUUID().slice(0, 8)}`,
      ...times,
      ...change(call, 'Creating'),
      wanted,
      tags: p.list('Tags') ?? [],
      retries: 2,
      age: 21_600,
    }
    state.functions.push(made)
    if (call.polls === 0) settle(call, made)
    return {}
  },

  GetFunction(call, values: Values) {
    const p = new Parameters(values, ['FunctionName'], {
      Namespace: ['default'],
      Qualifier: ['$LATEST'],
      ShowCode: ['FALSE'],
    })
    const found = findFunction(call, p)
    const under = found.status === 'Creating' || found.status === 'Updating'
    if (under && found.polls === 0) settle(call, found)
    else if (under) found.polls--
    return functionInfo(call, found)
  },

  ListFunctions({ account: { state } }, values: Values) {
    const others = { Namespace: ['default'], Order: [ANY], Orderby: [ANY], Filters: [] }
    const p = new Parameters(values, ['Offset', 'Limit', 'SearchKey', 'Description'], others)
    const [key, description] = [p.text('SearchKey') ?? '', p.text('Description') ?? '']
    const found = state.functions.filter(
      ({ name, wanted }) => name.includes(key) && wanted.description.includes(description),
    )
    const Functions = page(found, p.integer('Offset'), p.integer('Limit')).map((one) => ({
      FunctionName: one.name,
      FunctionId: one.id,
      Namespace: 'default',
      Runtime: one.wanted.runtime,
      Description: one.wanted.description,
      Type: 'Event',
      Status: one.status,
      StatusDesc: '',
      StatusReasons: reasons(one),
      AddTime: beijing(one.added),
      ModTime: beijing(one.modified),
      Tags: one.tags,
      TotalProvisionedConcurrencyMem: null,
      ReservedConcurrencyMem: one.reserved ?? null,
      AsyncRunEnable: 'FALSE',
      TraceEnable: 'FALSE',
    }))
    return { Functions, TotalCount: found.length }
  },

  async UpdateFunctionCode(call, values: Values) {
    const others = {
      Namespace: ['default'],
      InstallDependency: ['FALSE'],
      Publish: ['FALSE'],
      CodeSource: ['ZipFile'],
      CosBucketName: [],
      CosObjectName: [],
      CosBucketRegion: [],
      EnvId: [],
    }
    const p = new Parameters(values, ['FunctionName', 'Handler', 'ZipFile', 'Code'], others)
    const found = findFunction(call, p)
    const ready = () => checkReady(found, 'FailedOperation.UpdateFunctionCode', ['UpdateFailed'])
    ready()
    const given = p.object('Code') ?? { ZipFile: p.text('ZipFile') }
    const { handler } = readSettings(
      call,
      new Parameters({ Handler: values.Handler }, ['Handler', ...SETTINGS]),
      found.wanted,
    )
    const code = await readCode(call, given)
    ready()
    update(call, found, { ...found.wanted, handler, ...code })
    return {}
  },

  UpdateFunctionConfiguration(call, values: Values) {
    const others = { ...OTHER_SETTINGS, Publish: ['FALSE'], L5Enable: ['FALSE'], IgnoreSysLog: [] }
    const names = SETTINGS.filter((name) => name !== 'Handler')
    const p = new Parameters(values, ['FunctionName', ...names], others)
    const found = findFunction(call, p)
    checkReady(found, 'FailedOperation.UpdateFunctionConfiguration', ['UpdateFailed'])
    const wanted = readSettings(call, p, found.wanted)
    // "Set when it is created; it cannot be changed at present."
    if (wanted.runtime !== found.wanted.runtime)
      throw new ApiError('InvalidParameterValue.Runtime', 'The runtime of a function cannot be changed.')
    update(call, found, wanted)
    return {}
  },

  DeleteFunction(call, values: Values) {
    const p = new Parameters(values, ['FunctionName'], { Namespace: ['default'] })
    const found = findFunction(call, p)
    checkReady(found, 'FailedOperation.DeleteFunction', ['CreateFailed', 'UpdateFailed'])
    const { state } = call.account
    state.functions = state.functions.filter((one) => one !== found)
    state.triggers = state.triggers.filter((one) => one.function !== found.name)
    deploy(call)
    return {}
  },
}

async function readCode({ account }: Call, code: Values): Promise<Pick<Settings, 'code' | 'size'>> {
  const elsewhere = ['CosBucketName', 'CosObjectName', 'CosBucketRegion', 'DemoId', 'TempCosObjectName', 'ImageConfig']
  const p = new Parameters(code, ['ZipFile'], Object.fromEntries(elsewhere.map((name) => [name, []])), 'Code.')
  if (!p.has('ZipFile')) throw new ApiError('MissingParameter.Code', 'The code is missing.')
  const name = randomUUID()
  const size = await unpack(p.text('ZipFile') ?? '', account.folder(name))
  return { code: name, size }
}

function change({ polls, fails }: Call, status: 'Creating' | 'Updating') {
  return { status, polls, fails }
}

function update(call: Call, found: FunctionRecord, wanted: Settings): void {
  Object.assign(found, { wanted, modified: call.now, ...change(call, 'Updating') })
  if (call.polls === 0) settle(call, found)
}

function reasons({ status }: FunctionRecord): object[] {
  return /Failed$/.test(status)
    ? [{ ErrorCode: 'InternalError', ErrorMessage: 'The local cloud was asked to fail.' }]
    : []
}

function functionInfo(call: Call, found: FunctionRecord): object {
  const { wanted, status } = found
  return {
    FunctionName: found.name,
    FunctionId: found.id,
    FunctionVersion: '$LATEST',
    Qualifier: '$LATEST',
    Namespace: 'default',
    Type: 'Event',
    Status: status,
    StatusDesc: '',
    StatusReasons: reasons(found),
    AvailableStatus: 'Available',
    AddTime: beijing(found.added),
    ModTime: beijing(found.modified),
    Description: wanted.description,
    Handler: wanted.handler,
    Runtime: wanted.runtime,
    MemorySize: wanted.memory,
    Timeout: wanted.timeout,
    InitTimeout: wanted.initTimeout,
    Role: wanted.role,
    Environment: { Variables: wanted.environment.map(([Key, Value]) => ({ Key, Value })) },
    DeadLetterConfig: wanted.deadLetters ?? { Type: '', Name: '', FilterType: '' },
    ClsLogsetId: wanted.logset,
    ClsTopicId: wanted.topic,
    CodeInfo: '',
    CodeSize: wanted.size,
    CodeResult: /Failed$/.test(status) ? 'failed' : 'success',
    CodeError: '',
    ErrNo: 0,
    Triggers: call.account.state.triggers
      .filter((one) => one.function === found.name)
      .map((one) => triggerInfo(call, one)),
    Tags: found.tags,
    Layers: [],
    VpcConfig: { VpcId: '', SubnetId: '' },
    UseGpu: 'FALSE',
    InstallDependency: 'FALSE',
    L5Enable: 'FALSE',
    AsyncRunEnable: 'FALSE',
    TraceEnable: 'FALSE',
    DnsCache: 'FALSE',
    PublicNetConfig: { PublicNetStatus: 'ENABLE', EipConfig: { EipStatus: 'DISABLE', EipAddress: [] } },
  }
}
