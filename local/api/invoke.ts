import { Throttled } from '../scf/function.ts'
import type { Action, Platform } from './action.ts'
import { ApiError } from './error.ts'
import { ANY, Parameters } from './parameters.ts'
import { checkReady, deploy, findFunction } from './running.ts'

type Values = Readonly<Record<string, unknown>>

/** product/583/11637, in bytes */
const MAX_SYNC = 6 * 1024 ** 2
const MAX_ASYNC = 128 * 1024
/** An account's, less what cannot be reserved: 128000 - 12800, in megabytes. */
const MAX_RESERVED = 115_200
const NAMESPACE = { Namespace: ['default'] }

/** Serverless Cloud Functions, 2018-04-16: running functions, and how much and how often they run. */
export const RUNS: Readonly<Record<string, Action>> = {
  Invoke(call, values: Values) {
    return invoke(call.platform, values, (p) => {
      const found = findFunction(call, p)
      if (!found.live) checkReady(found, 'FailedOperation.FunctionStatusError')
      return found.name
    })
  },

  GetFunctionEventInvokeConfig(call, values: Values) {
    const p = new Parameters(values, ['FunctionName'], { ...NAMESPACE, Qualifier: ['$LATEST'] })
    const { retries, age } = findFunction(call, p)
    return { AsyncTriggerConfig: { RetryConfig: [{ RetryNum: retries }], MsgTTL: age } }
  },

  UpdateFunctionEventInvokeConfig(call, values: Values) {
    const p = new Parameters(values, ['FunctionName', 'AsyncTriggerConfig'], NAMESPACE)
    const found = findFunction(call, p)
    const config = new Parameters(p.need('AsyncTriggerConfig', p.object('AsyncTriggerConfig')), [
      'RetryConfig',
      'MsgTTL',
    ])
    const [first] = config.objects('RetryConfig') ?? []
    const retry = new Parameters(first ?? {}, ['RetryNum'])
    const [retries, age] = [retry.integer('RetryNum'), config.integer('MsgTTL')]
    if (retries === undefined || age === undefined)
      throw new ApiError('InvalidParameterValue.AsyncTriggerConfig', 'AsyncTriggerConfig needs RetryConfig and MsgTTL.')
    if (!(retries >= 0 && retries <= 2)) throw new ApiError('LimitExceeded.RetryNum', 'RetryNum is 0 to 2.')
    if (!(age >= 60 && age <= 21_600)) throw new ApiError('LimitExceeded.MsgTTL', 'MsgTTL is 60 to 21600 seconds.')
    Object.assign(found, { retries, age })
    deploy(call)
    return {}
  },

  PutReservedConcurrencyConfig(call, values: Values) {
    const p = new Parameters(values, ['FunctionName', 'ReservedConcurrencyMem'], NAMESPACE)
    const found = findFunction(call, p)
    const reserved = p.need('ReservedConcurrencyMem', p.integer('ReservedConcurrencyMem'))
    if (reserved < 0 || (reserved > 0 && reserved < found.wanted.memory))
      throw new ApiError('InvalidParameterValue.Memory', 'ReservedConcurrencyMem is 0, or enough for one instance.')
    const others = call.account.state.functions.filter((one) => one !== found)
    if (others.reduce((sum, one) => sum + (one.reserved ?? 0), reserved) > MAX_RESERVED)
      throw new ApiError(
        'LimitExceeded.FunctionReservedConcurrencyMemory',
        `At most ${MAX_RESERVED} MB can be reserved.`,
      )
    found.reserved = reserved
    deploy(call)
    return {}
  },

  GetReservedConcurrencyConfig(call, values: Values) {
    const { reserved } = findFunction(call, new Parameters(values, ['FunctionName'], NAMESPACE))
    return { ReservedMem: reserved ?? null }
  },

  DeleteReservedConcurrencyConfig(call, values: Values) {
    const found = findFunction(call, new Parameters(values, ['FunctionName'], NAMESPACE))
    delete found.reserved
    deploy(call)
    return {}
  },
}

/** Runs a function, or hands an event over (product/583/17243); `find` tells which one, by its own name. */
export async function invoke(
  platform: Pick<Platform, 'run' | 'push'>,
  values: Values,
  find: (p: Parameters) => string,
): Promise<object> {
  const others = { ...NAMESPACE, Qualifier: ['$LATEST', '$DEFAULT'], LogType: [ANY], RoutingKey: [] }
  const p = new Parameters(values, ['FunctionName', 'InvocationType', 'ClientContext'], others)
  const name = find(p)
  const type = p.text('InvocationType') ?? 'RequestResponse'
  if (type !== 'RequestResponse' && type !== 'Event')
    throw new ApiError('InvalidParameterValue.InvokeType', 'InvocationType is RequestResponse or Event.')
  const event = readEvent(p.text('ClientContext') ?? '{}', type === 'Event' ? MAX_ASYNC : MAX_SYNC)
  if (type === 'Event') {
    const id = await platform.push(name, event)
    return { Result: { ...NOTHING, FunctionRequestId: id } }
  }
  const ran = await platform.run(name, event).catch((error: unknown) => {
    if (error instanceof Throttled) return error.message
    throw error
  })
  if (typeof ran === 'string') {
    // The code that function URLs answer with, too (product/583/39848).
    const ErrMsg = JSON.stringify({ errorCode: 432, errorMessage: ran })
    return { Result: { ...NOTHING, RetMsg: ErrMsg, ErrMsg, InvokeResult: 432 } }
  }
  const { id, error, result, ms, logs } = ran
  const answered = error === undefined ? (result ?? 'null') : JSON.stringify({ errorCode: -1, errorMessage: error })
  return {
    Result: {
      Log: logs.join('\n'),
      RetMsg: answered,
      ErrMsg: error === undefined ? '' : answered,
      MemUsage: 0,
      Duration: ms,
      BillDuration: ms,
      FunctionRequestId: id,
      InvokeResult: error === undefined ? 0 : -1,
    },
  }
}

/** "Empty if it is asynchronous." */
const NOTHING = { Log: '', RetMsg: '', ErrMsg: '', MemUsage: 0, Duration: 0, BillDuration: 0, InvokeResult: 0 }

function readEvent(text: string, limit: number): unknown {
  if (Buffer.byteLength(text) > limit)
    throw new ApiError('InvalidParameter.Payload', `ClientContext exceeds ${limit} bytes.`)
  try {
    return JSON.parse(text)
  } catch {
    throw new ApiError('InvalidParameterValue.Param', 'ClientContext is not JSON.')
  }
}
