import type { Account, Settings } from './account.ts'
import type { Call } from './action.ts'
import { ApiError } from './error.ts'
import { Parameters } from './parameters.ts'

/** What a request may say of a function beside its name and code. */
export const SETTINGS = [
  'Handler',
  'Runtime',
  'MemorySize',
  'Timeout',
  'InitTimeout',
  'Description',
  'Role',
  'Environment',
  'DeadLetterConfig',
  'ClsLogsetId',
  'ClsTopicId',
]

/** Parameters of functions that are not implemented, but for values that say what is so anyway. */
export const OTHER_SETTINGS: Readonly<Record<string, readonly unknown[]>> = {
  Namespace: ['default'],
  InstallDependency: ['FALSE'],
  DnsCache: ['FALSE'],
  PublicNetConfig: [],
  VpcConfig: [],
  Layers: [],
  CfsConfig: [],
  ProtocolParams: [],
  InstanceConcurrencyConfig: [],
  IntranetConfig: [],
}

/** "The file's and the function's name begin and end in a letter" or, in practice, a digit; and no path can be made of them. */
const HANDLER = /^[A-Za-z](?:[\w-]{0,58}[A-Za-z0-9])?\.[A-Za-z](?:[\w-]{0,58}[A-Za-z0-9])?$/
const VARIABLE = /^[A-Za-z]\w*$/
const RESERVED = /^(?:SCF_|QCLOUD_|TENCENTCLOUD_)/
const MAX_ENVIRONMENT = 4096

/**
 * The settings before, and what a request says over them: what it does not name stays; lists are replaced whole.
 * @throws ApiError
 */
export function readSettings(
  { account, runtimes }: Pick<Call, 'account' | 'runtimes'>,
  p: Parameters,
  before: Settings,
): Settings {
  const settings = { ...before }
  const handler = p.text('Handler')
  if (handler !== undefined) {
    if (!HANDLER.test(handler))
      throw new ApiError('InvalidParameterValue.Handler', 'Handler is not of the form file.function.')
    settings.handler = handler
  }
  const runtime = p.text('Runtime')
  if (runtime !== undefined) {
    if (!runtimes.includes(runtime))
      throw new ApiError('InvalidParameterValue.Runtime', `There is no runtime ${runtime} here.`)
    settings.runtime = runtime
  }
  settings.memory = p.integer('MemorySize') ?? settings.memory
  if (settings.memory !== 64 && !(settings.memory >= 128 && settings.memory <= 3072 && settings.memory % 128 === 0))
    throw new ApiError('InvalidParameterValue.MemorySize', 'MemorySize is 64, or 128 to 3072 in steps of 128.')
  settings.timeout = p.integer('Timeout') ?? settings.timeout
  if (!(settings.timeout >= 1 && settings.timeout <= 900))
    throw new ApiError('LimitExceeded.Timeout', 'Timeout is 1 to 900 seconds.')
  settings.initTimeout = p.integer('InitTimeout') ?? settings.initTimeout
  settings.description = p.text('Description') ?? settings.description
  if (settings.description.length > 1000)
    throw new ApiError('InvalidParameterValue.Description', 'Description is too long.')
  settings.role = p.text('Role') ?? settings.role
  if (settings.role !== '' && !account.state.roles.some(({ name }) => name === settings.role))
    throw new ApiError('ResourceNotFound.Role', `There is no role ${settings.role}.`)
  const environment = p.object('Environment')
  if (environment) settings.environment = readEnvironment(environment)
  const letters = p.object('DeadLetterConfig')
  if (letters) Object.assign(settings, { deadLetters: readDeadLetters(letters) })
  settings.logset = p.text('ClsLogsetId') ?? settings.logset
  settings.topic = p.text('ClsTopicId') ?? settings.topic
  checkLogs(account, settings)
  return settings
}

function readEnvironment(environment: Readonly<Record<string, unknown>>): [string, string][] {
  const p = new Parameters(environment, ['Variables'], {}, 'Environment.')
  const pairs = (p.objects('Variables') ?? []).map((entry): [string, string] => {
    const variable = new Parameters(entry, ['Key', 'Value'], {}, 'Environment.Variables.')
    const key = variable.need('Key', variable.text('Key'))
    const value = variable.need('Value', variable.text('Value'))
    if (RESERVED.test(key))
      throw new ApiError(
        'InvalidParameterValue.EnvironmentSystemProtect',
        `Names that begin as ${key} does are the platform's.`,
      )
    if (!VARIABLE.test(key) || value === '')
      throw new ApiError(
        'InvalidParameterValue.Environment',
        `The variable ${key} has no valid name, or an empty value.`,
      )
    return [key, value]
  })
  if (new Set(pairs.map(([key]) => key)).size < pairs.length)
    throw new ApiError('InvalidParameterValue.Environment', 'A variable is given twice.')
  if (Buffer.byteLength(pairs.flat().join('')) > MAX_ENVIRONMENT)
    throw new ApiError('InvalidParameterValue.EnvironmentExceededLimit', 'The variables take more than 4 KB.')
  return pairs
}

function readDeadLetters(config: Readonly<Record<string, unknown>>): Settings['deadLetters'] {
  const p = new Parameters(config, ['Type', 'Name', 'FilterType'], {}, 'DeadLetterConfig.')
  const [Type, Name, FilterType] = [p.text('Type') ?? '', p.text('Name') ?? '', p.text('FilterType') ?? '']
  // Both empty: none any more.
  if (Type === '' && Name === '') return undefined
  if (!/^(?:CMQ-QUEUE|CMQ-TOPIC)$/.test(Type) || Name === '')
    throw new ApiError(
      'InvalidParameterValue.DeadLetterConfig',
      'DeadLetterConfig needs a Name, and a Type CMQ-QUEUE or CMQ-TOPIC.',
    )
  return { Type, Name, FilterType }
}

function checkLogs({ state }: Account, { logset, topic }: Settings): void {
  if (logset === '' && topic === '') return
  if (!state.topics.some((one) => one.id === topic && one.logset === logset))
    throw new ApiError('InvalidParameterValue.Cls', 'ClsLogsetId and ClsTopicId are not those of a log topic.')
}
