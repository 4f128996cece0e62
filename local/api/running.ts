import { pathToFileURL } from 'node:url'
import type { CosTrigger, FunctionSpec } from '../scf/serverless.ts'
import type { FunctionRecord, Settings } from './account.ts'
import type { Call } from './action.ts'
import { ApiError } from './error.ts'
import type { Parameters } from './parameters.ts'
import { roleOf } from './role.ts'

/** One for each setting that ran: what has not changed goes on as it is. */
const specs = new WeakMap<Settings, FunctionSpec>()

/** Ends what is under way with a function: it has become what was wanted, or has failed to. */
export function settle(call: Pick<Call, 'account' | 'platform'>, found: FunctionRecord): void {
  const creating = found.status === 'Creating'
  if (found.fails) {
    found.status = creating ? 'CreateFailed' : 'UpdateFailed'
    return
  }
  found.status = 'Active'
  found.live = found.wanted
  deploy(call)
}

/** Lets run what the account says: nothing of a function that is being created, the settings before of one that is updated. */
export function deploy({ account, platform }: Pick<Call, 'account' | 'platform'>): void {
  const { functions, triggers } = account.state
  const running = functions.flatMap((found) => specOf(found, account) ?? [])
  const isRunning = ({ function: name }: { function: string }) => running.some((spec) => spec.name === name)
  const open = triggers.filter((trigger) => trigger.open && isRunning(trigger))
  platform.apply({
    functions: running,
    cosTriggers: open.flatMap(({ function: name, name: bucket, rule }): CosTrigger[] =>
      rule ? [{ function: name, bucket, events: rule.event, prefix: rule.prefix, suffix: rule.suffix }] : [],
    ),
    urls: open.filter(({ url }) => url?.extranet).map(({ function: name }) => name),
  })
}

function specOf(
  { name, live, reserved, retries, age }: FunctionRecord,
  account: Call['account'],
): FunctionSpec | undefined {
  if (!live) return undefined
  const spec = specs.get(live) ?? {
    name,
    handler: live.handler,
    timeout: live.timeout,
    memory: live.memory,
    environment: Object.fromEntries(live.environment),
    code: pathToFileURL(`${account.folder(live.code)}/`),
    deadLetters: live.deadLetters !== undefined,
    policy: () => roleOf(account, live.role),
  }
  specs.set(live, spec)
  // These take effect at once, without new instances.
  const instances = reserved === undefined ? undefined : Math.floor(reserved / live.memory)
  return Object.assign(spec, { retries, age: age * 1000, instances })
}

/** The function that a request names. @throws ApiError */
export function findFunction({ account }: Call, p: Parameters): FunctionRecord {
  const name = p.need('FunctionName', p.text('FunctionName'))
  const found = account.state.functions.find((one) => one.name === name)
  if (!found) throw new ApiError('ResourceNotFound.Function', `The function ${name} does not exist.`)
  return found
}

/** What a function may have done to it while it is created or updated: nothing (product/583/37883). */
export function checkReady({ status, name }: FunctionRecord, code: string, alsoFailed: readonly string[] = []): void {
  if (status !== 'Active' && !alsoFailed.includes(status))
    throw new ApiError(code, `The function ${name} is ${status}, and cannot be used so.`)
}
