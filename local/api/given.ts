import type { FunctionSpec } from '../scf/serverless.ts'
import type { Platform } from './action.ts'
import { ApiError } from './error.ts'
import { invoke } from './invoke.ts'
import { Parameters } from './parameters.ts'

type Values = Readonly<Record<string, unknown>>

/** What the platform does with an event, unless a deployment says otherwise. */
const RETRIES = 2
const AGE = 21_600

/**
 * The actions of an account whose functions are those of serverless.yml: they are called by the names that they have when they
 * are deployed, and are changed in that file alone.
 */
export function givenActions(
  functions: readonly FunctionSpec[],
  platform: Pick<Platform, 'run' | 'push'>,
): Readonly<Record<string, (values: Values) => object | Promise<object>>> {
  const find = (p: Parameters) => {
    const name = p.need('FunctionName', p.text('FunctionName'))
    const found = functions.find(({ deployedAs, name: key }) => (deployedAs ?? key) === name)
    if (!found) throw new ApiError('ResourceNotFound.Function', `The function ${name} does not exist.`)
    return found
  }
  const named = (values: Values) =>
    find(new Parameters(values, ['FunctionName'], { Namespace: ['default'], Qualifier: ['$LATEST'] }))
  return {
    Invoke: (values) => invoke(platform, values, (p) => find(p).name),
    GetFunctionEventInvokeConfig(values) {
      const { retries = RETRIES, age = AGE * 1_000 } = named(values)
      return { AsyncTriggerConfig: { RetryConfig: [{ RetryNum: retries }], MsgTTL: age / 1_000 } }
    },
    GetReservedConcurrencyConfig(values) {
      named(values)
      return { ReservedMem: null }
    },
  }
}
