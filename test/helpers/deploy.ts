import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Account,
  type ApiCall,
  ask as askBucket,
  call as callApi,
  type Fields,
  fields,
  list,
} from '../../cli/api.ts'
import { type DeployOptions, deploy, undeploy } from '../../cli/deploy.ts'
import { type Code, readCode } from '../../cli/function.ts'
import { localVariables } from '../../cli/operator.ts'
import { readStage, type Stage } from '../../cli/stage.ts'
import { type Apply, apply, type Change } from '../../cli/step.ts'
import { BUCKET, CREDENTIALS, REGION } from '../../local/cloud.ts'
import { services } from './api.ts'
import { startTestCloud, type TestCloud } from './cloud.ts'

const ROOT = new URL('../../', import.meta.url)

/** An empty account of the local cloud, and what is deployed into it. */
export interface Deployment {
  cloud: TestCloud
  account: Account
  code: Code
  stage(variables?: Record<string, string>, name?: string): Promise<Stage>
  /** Deploys without a smoke test; returns what was printed. */
  deploy(stage: Stage, options?: Partial<DeployOptions>): Promise<string[]>
  api(call: ApiCall): Promise<Fields>
  /** What is in the account, but for ids and times. */
  state(): Promise<unknown>
}

export async function startEmpty(options: Parameters<typeof startTestCloud>[0] = {}): Promise<Deployment> {
  const cloud = await startTestCloud({ empty: true, ...options })
  const port = (url: string | undefined) => Number(new URL(url ?? '').port)
  const account: Account = {
    region: REGION,
    credentials: CREDENTIALS,
    local: { cos: port(cloud.cosUrl), api: port(cloud.apiUrl), control: port(cloud.controlUrl) },
    now: Date.now,
    random: Math.random,
    sleep: (ms) => sleep(Math.min(ms, 20)),
  }
  const code = await readCode(new URL('dist/', ROOT))
  const services_ = services(cloud.apiUrl ?? '')
  const api = ({ service, action, params }: ApiCall) => services_[service](action, params)
  return {
    cloud,
    account,
    code,
    api,
    stage(variables = {}, name) {
      const set = Object.entries({ CLAIM_TIME: '6', REDIRECT_TTL: '0', ...variables }).map(([k, v]) => `${k}=${v}`)
      return readStage(ROOT, name, localVariables(account.local?.cos ?? 0, set))
    },
    async deploy(stage, options = {}) {
      const printed: string[] = []
      await deploy(account, stage, code, { smoke: false, print: (line) => printed.push(line), ...options })
      return printed
    },
    async state() {
      const ask = (service: ApiCall['service'], action: string, params: Fields = {}) => api({ service, action, params })
      const functions = list((await ask('scf', 'ListFunctions', { Limit: 100 })).Functions)
      const state = []
      for (const { FunctionName } of functions) {
        const { AddTime, ModTime, FunctionId, RequestId, Triggers, ...rest } = await ask('scf', 'GetFunction', {
          FunctionName,
        })
        const triggers = list((await ask('scf', 'ListTriggers', { FunctionName, Limit: 100 })).Triggers)
        const retries = (await ask('scf', 'GetFunctionEventInvokeConfig', { FunctionName })).AsyncTriggerConfig
        state.push({
          ...rest,
          retries,
          triggers: triggers.map(({ Type, TriggerDesc, Enable }) => [Type, TriggerDesc, Enable]),
        })
      }
      const { List } = await ask('cam', 'ListPolicies', { Scope: 'Local', Page: 1, Rp: 200 })
      const policies = []
      for (const { PolicyId, PolicyName } of list(List)) {
        const { PolicyDocument } = await ask('cam', 'GetPolicy', { PolicyId })
        policies.push([PolicyName, PolicyDocument])
      }
      const rules = []
      for (const query of [{ cors: '' }, { lifecycle: '' }]) {
        const request = { bucket: BUCKET, door: 'cos', method: 'GET', key: '', query } as const
        rules.push((await askBucket(account, request, [200, 404])).body.toString())
      }
      return fields({ state, policies, rules })
    },
  }
}

/** Takes away what a test has deployed, and all objects. */
export async function clear({ account, stage, cloud, api }: Deployment): Promise<void> {
  for (const name of ['dev', 'other']) await undeploy(account, await stage({}, name), { print: () => {} })
  for (const { FunctionName } of list((await api({ service: 'scf', action: 'ListFunctions', params: {} })).Functions))
    await api({ service: 'scf', action: 'DeleteFunction', params: { FunctionName } })
  for (const key of await cloud.keys('')) await cloud.bucket.delete(key)
}

export class Killed extends Error {}

/** Makes changes up to one that has not killed it yet, and is gone before it has seen what became of that one. */
export function dying(account: Account, killers: Set<string>, made: string[]): Apply {
  return async (change: Change) => {
    made.push(change.say)
    if (killers.has(change.say)) return apply(account, change)
    killers.add(change.say)
    const { call: request } = change
    await ('service' in request ? callApi(account, request) : askBucket(account, request))
    throw new Killed()
  }
}

/** Tells the actions of a deployment. */
export function recording(account: Account, calls: string[], before: () => Promise<unknown> = async () => {}): Apply {
  return async (change) => {
    const { call: request } = change
    await before()
    calls.push(
      'service' in request ? request.action : `${request.method} ${request.key || Object.keys(request.query ?? {})}`,
    )
    return apply(account, change)
  }
}
