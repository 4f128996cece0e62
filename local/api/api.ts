import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Key } from '../cos/cos.ts'
import type { Faults } from '../faults.ts'
import { guard } from '../guard.ts'
import type { FunctionSpec } from '../scf/serverless.ts'
import { Account } from './account.ts'
import type { Action, Call, Platform } from './action.ts'
import { CLS } from './cls.ts'
import { ApiError } from './error.ts'
import { FUNCTIONS } from './function.ts'
import { givenActions } from './given.ts'
import { RUNS } from './invoke.ts'
import { isObject } from './parameters.ts'
import { POLICIES } from './policy.ts'
import { openAccount, ROLES } from './role.ts'
import { deploy, settle } from './running.ts'
import { verify } from './sign.ts'
import { TRIGGERS } from './trigger.ts'

export interface ApiOptions {
  /** Where the account and the code of its functions are kept. */
  dir: string
  /** 0: a free one */
  port: number
  region: string
  /** COS's keys. Those without a policy may do everything here, those with one nothing. */
  keys: ReadonlyMap<string, Key>
  faults: Faults
  now: () => number
  /** How many looks (GetFunction) the states Creating and Updating last; default 1. */
  polls?: number
  runtimes?: readonly string[]
  /** Where functions with a URL answer. */
  url: string
  hasBucket(name: string): boolean
  platform: Platform
  /** If they are given, nothing is deployed: they are run. */
  functions?: readonly FunctionSpec[]
}

export interface Api {
  port: number
  close(): void
}

/** What a request may have, with signatures of version 3: "10 MB". */
const MAX_BODY = 10 * 1024 ** 2

/** Of Node: the pages' list of runtimes, and what was announced since. */
const RUNTIMES = ['Nodejs20.19', 'Nodejs18.15', 'Nodejs16.13']

type Actions = Readonly<Record<string, Action>>

const CAM = { ...ROLES, ...POLICIES }
const SCF: Actions = { ...FUNCTIONS, ...TRIGGERS, ...RUNS }
const VERSIONS: Readonly<Record<string, Actions>> = {
  '2019-01-16': CAM,
  '2018-04-16': SCF,
  '2020-10-16': CLS,
}

/**
 * The vendor's management API, version 3 of its wire form, for the actions that a deployment needs; on 127.0.0.1 alone. All
 * services share the port: which one is meant is told by version and action.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { polls = 1, runtimes = RUNTIMES, url, region, hasBucket, platform, now } = options
  const find = options.functions ? given(options.functions) : deployed()

  const server = createServer(async (request, response) => {
    const id = randomUUID()
    const answer = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    // It runs code that was sent to it: no page may use it, not even those that may use COS.
    const refused = guard(request.headers.host ?? '', request.headers, { ports: new Set([port]), origins: [] })
    if (refused) return void answer(403, { error: refused })
    try {
      const body = await read(request)
      const result = await act(request, body)
      if (!result) return void request.socket.resetAndDestroy()
      answer(200, { Response: { ...result, RequestId: id } })
    } catch (error) {
      if (!(error instanceof ApiError)) console.error('local API failed:', error)
      const { code, message } = error instanceof ApiError ? error : { code: 'InternalError', message: 'See its log.' }
      answer(200, { Response: { Error: { Code: code, Message: message }, RequestId: id } })
    }
  })
  server.listen(options.port, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, close: () => void server.close().closeAllConnections() }

  /** Undefined if a fault takes the answer away. */
  async function act(request: IncomingMessage, body: Buffer): Promise<object | undefined> {
    const { method = '', headers, url: target = '' } = request
    if (method !== 'POST') throw new ApiError('UnsupportedProtocol', 'The local cloud takes POST requests only.')
    const signer = verify({ method, search: target.split('?')[1] ?? '', headers, body }, options.keys, now())
    const version = header(headers['x-tc-version'], 'X-TC-Version')
    const actions = Object.hasOwn(VERSIONS, version) ? VERSIONS[version] : undefined
    if (!actions)
      throw new ApiError('NoSuchVersion', `The local cloud knows the versions ${Object.keys(VERSIONS).join(', ')}.`)
    const name = header(headers['x-tc-action'], 'X-TC-Action')
    const action = find(actions, name)
    if (!action)
      throw new ApiError('InvalidAction', `The local cloud does not implement the action ${name} of this version.`)
    if (options.keys.get(signer)?.policy) {
      const code = actions === SCF ? 'UnauthorizedOperation.CAM' : 'AuthFailure.UnauthorizedOperation'
      throw new ApiError(code, `The key may not do ${name}.`)
    }
    // Cloud Access Management has no regions.
    if (actions !== CAM && header(headers['x-tc-region'], 'X-TC-Region') !== region)
      throw new ApiError('UnsupportedRegion', `The local cloud is in ${region}.`)
    const values = readJson(body)
    const struck = options.faults.draw([name], String(values.FunctionName ?? values.RoleName ?? ''))
    for (const { kind, ms = 0, code = 'InternalError' } of struck) {
      if (kind === 'delay') await sleep(ms)
      if (kind === 'hold') await options.faults.hold(name)
      if (kind === 'error') throw new ApiError(code, `A fault strikes ${name}.`)
      if (kind === 'reset') return undefined
    }
    const fails = struck.some(({ kind }) => kind === 'drop-result')
    const result = await action(values, fails)
    return struck.some(({ kind }) => kind === 'lose-answer') ? undefined : result
  }

  /** The actions of an account into which functions are deployed. */
  function deployed(): Find {
    const account = new Account(options.dir, (state) => openAccount(state, now()))
    // What was under way when the local cloud ended has come to its end meanwhile.
    for (const found of account.state.functions) if (/ing$/.test(found.status)) settle({ account, platform }, found)
    account.save()
    deploy({ account, platform })
    return (actions, name) => {
      const action = Object.hasOwn(actions, name) ? actions[name] : undefined
      return (
        action &&
        (async (values, fails) => {
          const call: Call = { account, region, now: now(), polls, runtimes, url, hasBucket, fails, platform }
          const result = await action(call, values)
          if (!/^(?:List|Describe|Invoke)/.test(name)) account.save()
          return result
        })
      )
    }
  }

  /** Those of an account whose functions are serverless.yml's. */
  function given(functions: readonly FunctionSpec[]): Find {
    const known = givenActions(functions, platform)
    return (actions, name) => {
      if (actions === SCF && Object.hasOwn(known, name)) return known[name]
      throw new ApiError(
        'UnsupportedOperation',
        `The functions here are those of serverless.yml. For ${name}, start the local cloud with --empty.`,
      )
    }
  }
}

/** Finds what does an action. @throws ApiError */
type Find = (
  actions: Actions,
  name: string,
) => ((values: Readonly<Record<string, unknown>>, fails: boolean) => object | Promise<object>) | undefined

/** For faults: whether it is of the form of the API's codes, which are too many to list. */
export function isApiCode(code: unknown): code is string {
  return typeof code === 'string' && /^[A-Z][A-Za-z]+\.[A-Z][A-Za-z]+$/.test(code)
}

function header(value: string | string[] | undefined, name: string): string {
  if (typeof value === 'string') return value
  throw new ApiError('MissingParameter', `The header ${name} is missing.`)
}

function readJson(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (isObject(value)) return value
  } catch {
    // Told below.
  }
  throw new ApiError('InvalidParameter', 'The body is not a JSON object.')
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    // The rest is read and thrown away, so that the refusal arrives.
    if (size <= MAX_BODY) chunks.push(chunk)
  }
  if (size > MAX_BODY) throw new ApiError('RequestSizeLimitExceeded', 'A request has at most 10 MB.')
  return Buffer.concat(chunks)
}
