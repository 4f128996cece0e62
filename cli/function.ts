import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { MattingError } from '../lib/errors.ts'
import { type Account, apiCode, call, type Fields, fields, find, list, text, until } from './api.ts'
import type { LogTopic } from './logs.ts'
import type { FunctionSpec, Stage } from './stage.ts'
import type { Change, Step } from './step.ts'
import { zip } from './zip.ts'

/** What is uploaded, and what it is known by. */
export interface Code {
  zip: Buffer
  hash: string
}

/** The runtimes that can run what build.mjs makes, the newest first. */
const RUNTIMES = ['Nodejs24.11', 'Nodejs22.21', 'Nodejs20.19', 'Nodejs18.15']

/** The files of dist/ as one archive. */
export async function readCode(dist: URL): Promise<Code> {
  const names = (await readdir(dist).catch(() => [])).sort()
  if (!names.includes('upload.js'))
    throw new MattingError('misconfigured', 'dist/ has no functions: run `npm run build`.')
  const entries = await Promise.all(names.map(async (name) => ({ name, bytes: await readFile(new URL(name, dist)) })))
  const archive = zip(entries)
  return { zip: archive, hash: createHash('sha256').update(archive).digest('hex').slice(0, 16) }
}

/** The functions as serverless.yml has them. */
export async function* functions(account: Account, stage: Stage, code: Code, logs: LogTopic): Step {
  for (const spec of stage.functions) {
    yield* one(account, stage, spec, code, logs)
    yield* retries(account, spec)
    yield* reserved(account, spec)
  }
}

async function* one(account: Account, stage: Stage, spec: FunctionSpec, code: Code, logs: LogTopic): Step {
  const { name, handler, deadLetter } = spec
  const ready = async () => {
    const { Status, StatusReasons } = fields(await settled(account, name))
    const why = list(StatusReasons).map(({ ErrorCode, ErrorMessage }) => `${ErrorCode} ${ErrorMessage}`)
    if (Status !== 'Active') throw new MattingError('denied', `${name} is ${Status}: ${why.join('; ')}`)
  }
  const { ClsLogsetId, ClsTopicId } = logs
  const ZipFile = code.zip.toString('base64')
  const wanted = {
    // The API keeps no fingerprint of the code, and a runtime that was fallen back to is not to be changed each time.
    Description: `cos goods matting, code ${code.hash}, asked for ${stage.runtime}`,
    MemorySize: spec.memory,
    Timeout: spec.timeout,
    Role: stage.role,
    Environment: { Variables: Object.entries(spec.environment).map(([Key, Value]) => ({ Key, Value })) },
    ClsLogsetId,
    ClsTopicId,
    ...(deadLetter && { DeadLetterConfig: deadLetter }),
  }
  let there = await settled(account, name)
  if (there?.Status === 'CreateFailed') {
    yield { say: `delete ${name}, which could not be created`, call: scf('DeleteFunction', { FunctionName: name }) }
    there = undefined
  }
  if (!there) {
    yield* withRuntime(stage.runtime, (Runtime, why) => ({
      say: `create ${name}${why}`,
      call: scf('CreateFunction', {
        FunctionName: name,
        Type: 'Event',
        Runtime,
        Handler: handler,
        Code: { ZipFile },
        ...wanted,
      }),
      ready,
    }))
    return
  }
  const [, hash, asked] = /code (\w+), asked for (\S+)$/.exec(text(there.Description)) ?? []
  if (hash !== code.hash || there.Handler !== handler) {
    const params = { FunctionName: name, Handler: handler, ZipFile }
    yield { say: `update the code of ${name}`, call: scf('UpdateFunctionCode', params), ready }
  }
  const update = (runtime: Fields, why = '') => ({
    say: `update the configuration of ${name}${why}`,
    call: scf('UpdateFunctionConfiguration', { FunctionName: name, ...runtime, ...wanted }),
    ready,
  })
  if (there.Runtime !== stage.runtime && asked !== stage.runtime)
    yield* withRuntime(stage.runtime, (Runtime, why) => update({ Runtime }, why))
  else if (!isSame(there, wanted) || there.Status !== 'Active') yield update({})
}

/** Tries the runtime, and if the API does not know it, the others on which the code runs. */
async function* withRuntime(wanted: string, change: (runtime: string, why: string) => Change): Step {
  const others = RUNTIMES.filter((runtime) => runtime !== wanted)
  for (const runtime of [wanted, ...others]) {
    try {
      yield change(runtime, runtime === wanted ? '' : `, on ${runtime}, because ${wanted} is refused`)
      return
    } catch (error) {
      if (apiCode(error) !== 'InvalidParameterValue.Runtime') throw error
    }
  }
  const tried = [wanted, ...others].join(', ')
  throw new MattingError('misconfigured', `The API refuses ${tried}; on older ones the code does not run.`)
}

function isSame(there: Fields, { Environment, DeadLetterConfig, ...wanted }: Fields): boolean {
  const variables = (environment: unknown) =>
    Object.fromEntries(list(fields(environment).Variables).map(({ Key, Value }) => [Key, Value]))
  const queue = fields(there.DeadLetterConfig)
  return (
    Object.entries(wanted).every(([name, value]) => there[name] === value) &&
    isDeepStrictEqual(variables(there.Environment), variables(Environment)) &&
    // A queue that was bound by hand stays.
    Object.entries(fields(DeadLetterConfig)).every(([name, value]) => queue[name] === value)
  )
}

/** For events that failed; a function of requests has none. */
async function* retries(account: Account, { name, retries }: FunctionSpec): Step {
  if (!retries) return
  const wanted = { RetryConfig: [{ RetryNum: retries.num }], MsgTTL: retries.seconds }
  const answer = await find(account, scf('GetFunctionEventInvokeConfig', { FunctionName: name }))
  const { RetryConfig, MsgTTL } = fields(answer?.AsyncTriggerConfig)
  if (MsgTTL === retries.seconds && list(RetryConfig)[0]?.RetryNum === retries.num) return
  const params = { FunctionName: name, AsyncTriggerConfig: wanted }
  yield { say: `let events of ${name} be tried again`, call: scf('UpdateFunctionEventInvokeConfig', params) }
}

async function* reserved(account: Account, { name, reserved }: FunctionSpec): Step {
  const answer = await find(account, scf('GetReservedConcurrencyConfig', { FunctionName: name }))
  const there = answer?.ReservedMem || undefined
  if (there === reserved) return
  const params = { FunctionName: name, ReservedConcurrencyMem: reserved }
  if (reserved) yield { say: `reserve ${reserved} MB for ${name}`, call: scf('PutReservedConcurrencyConfig', params) }
  else {
    const call = scf('DeleteReservedConcurrencyConfig', { FunctionName: name })
    yield { say: `reserve nothing for ${name}`, call }
  }
}

export async function* removeFunctions(account: Account, { functions }: Stage): Step {
  for (const { name } of functions)
    if (await settled(account, name))
      yield { say: `delete ${name}`, call: scf('DeleteFunction', { FunctionName: name }) }
}

/** What there is of a function, once nothing is being done to it. */
export async function settled(account: Account, name: string): Promise<Fields | undefined> {
  const function_ = await until(account, `${name} to be ready`, async () => {
    const there = await find(account, scf('GetFunction', { FunctionName: name }))
    return /^(?:Creating|Updating|Publishing|Deleting)$/.test(text(there?.Status)) ? undefined : { there }
  })
  return function_.there
}

export function scf(action: string, params: Fields) {
  return { service: 'scf', action, params } as const
}

/** All pages of a list. */
export async function all(account: Account, action: string, params: Fields, name: string): Promise<Fields[]> {
  const found: Fields[] = []
  for (;;) {
    const answer = await call(account, scf(action, { ...params, Offset: found.length, Limit: 100 }))
    const page = list(answer[name])
    found.push(...page)
    if (page.length === 0 || found.length >= Number(answer.TotalCount)) return found
  }
}
