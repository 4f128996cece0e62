import { readFile } from 'node:fs/promises'
import { parseEnv } from 'node:util'
import { parse } from 'yaml'
import { type Config, type Environment, readConfig } from '../lib/config.ts'
import { variableNames } from '../lib/environment.ts'
import { MattingError } from '../lib/errors.ts'
import { decode, list as parts } from '../lib/spelling.ts'
import { type Fields, fields, list } from './api.ts'

export interface FunctionSpec {
  name: string
  handler: string
  /** Seconds. */
  timeout: number
  /** Megabytes. */
  memory: number
  environment: Record<string, string>
  deadLetter?: { Type: string; Name: string }
  /** How often an event that failed is delivered again, and how many seconds it is kept. */
  retries?: { num: number; seconds: number }
  /** Megabytes that are kept for it alone. */
  reserved?: number
}

/** A rule by which a bucket's events go to a function. */
export interface Rule {
  function: string
  /** Host of the bucket; the API takes it as the trigger's name. */
  bucket: string
  event: string
  prefix: string
  suffix: string
}

/** What a stage should have in the account: serverless.yml with the stage's variables. */
export interface Stage {
  stage: string
  region: string
  config: Config
  runtime: string
  role: string
  functions: FunctionSpec[]
  rules: Rule[]
  url?: { function: string; name: string; auth: string }
  /** The log topic by its ids, or the names to create one by. */
  logs: { logset: string; topic: string } | { logsetName: string; topicName: string }
  mask: (text: string) => string
}

/** Whoever reads a value of these may spend, forge events, or read photos. An events URL may hold a token. */
const SECRETS = ['URL_KEYS', 'EVENTS_SECRET', 'DELIVERY_KEY', 'EVENTS_URL']
const VARIABLE = /\$\{env:(\w+)\}/g

/**
 * The variables of a stage: the shell's, then those of .env.<stage>, then those of .env.
 * @throws MattingError for one in a file that serverless.yml does not have: misspelt, it would be left out in silence; and if
 * there is no bucket, saying where it is to be written
 */
export async function readVariables(root: URL, stage: string | undefined, shell: Environment): Promise<Environment> {
  const file = fields(parse(await read(root, 'serverless.yml')))
  const known = new Set(Array.from(JSON.stringify(file).matchAll(VARIABLE), ([, name]) => name))
  // For plan and bill alone; no function is given it.
  known.add('MATTING_PRICE')
  const variables: Record<string, string | undefined> = {}
  const unknown: string[] = []
  const own = `.env.${stage ?? file.stage}`
  for (const name of ['.env', own]) {
    const text = await read(root, name).catch((error: unknown) => {
      if (Object(error).code === 'ENOENT') return ''
      throw new MattingError('misconfigured', `${name} cannot be read: ${Object(error).code}`)
    })
    // Some editors put a byte order mark in front, which would be taken for a part of the first name.
    const given = parseEnv(text.replace(/^\uFEFF/, ''))
    const strange = Object.keys(given).filter((variable) => !known.has(variable) && !/^TENCENT/.test(variable))
    unknown.push(...strange.map((variable) => `${name}: there is no variable ${variable}`))
    Object.assign(variables, given)
  }
  if (unknown.length > 0)
    throw new MattingError('misconfigured', `${unknown.join('\n')}\nThere are ${[...known].join(', ')}.`)
  const all = { ...variables, ...shell }
  if (!all.COS_BUCKET?.trim())
    throw new MattingError(
      'misconfigured',
      `COS_BUCKET is not set: copy .env.example to ${own} and write your bucket and region there, or set them in the shell.`,
    )
  return all
}

/**
 * Reads serverless.yml for a stage. Variables that are not set are left out of the functions' environment.
 * @throws MattingError misconfigured, saying all that is wrong with the variables, and where
 */
export async function readStage(root: URL, stage: string | undefined, env: Environment): Promise<Stage> {
  const file = fields(parse(await read(root, 'serverless.yml')))
  const name = stage ?? String(file.stage)
  if (!/^[a-z][a-z0-9-]{0,20}$/i.test(name)) throw wrong(`the stage ${name} is not a short name of letters and digits`)
  // The triggers need it; the functions have the same default.
  const variables: Environment = { ...env, SOURCE_PREFIXES: env.SOURCE_PREFIXES?.trim() || 'uploads/' }
  /** Undefined if it consists of a variable that is not set. */
  const resolve = (value: unknown): string | undefined => {
    const whole = /^\$\{env:(\w+)\}$/.exec(String(value))?.[1]
    if (whole) return variables[whole]?.trim() || undefined
    return String(value)
      .replace(VARIABLE, (_, variable: string) => variables[variable]?.trim() || missing(variable))
      .replace(/\$\{(stage|app|name)\}/g, (_, key: string) => (key === 'stage' ? name : String(file[key])))
  }
  const inputs = fields(file.inputs)
  const functions = Object.entries(fields(inputs.functions)).map(([key, value]): [string, FunctionSpec] => [
    key,
    readFunction(key, { ...inputs, ...fields(value) }, resolve),
  ])
  const [, first] = functions[0] ?? []
  if (file.component !== 'multi-scf' || !first) throw wrong('it has no functions of a multi-scf component')
  const known = variableNames()
  const strange = Object.keys(first.environment).filter((variable) => !known.has(variable))
  if (strange.length > 0) throw wrong(`there is no variable ${strange.join(', ')}`)
  const config = readConfig(first.environment)
  const nameOf = (key: unknown) =>
    functions.find(([one]) => one === key)?.[1].name ?? fail(`a trigger of an unknown function ${key}`)
  const triggers = list(inputs.triggers).map((trigger) => ({
    type: trigger.type,
    function: nameOf(trigger.function),
    parameters: fields(trigger.parameters),
  }))
  const rules = triggers
    .filter(({ type, parameters }) => type === 'cos' && parameters.enable === true)
    .flatMap(({ function: owner, parameters }): Rule[] => {
      const { bucket, events, filter } = parameters
      const { prefix = '', suffix = '' } = fields(filter)
      const rule = { function: owner, bucket: resolve(bucket) ?? '', event: String(events), suffix: String(suffix) }
      return parts(decode(resolve(prefix) ?? ''), ',').map((folder) => ({ ...rule, prefix: folder }))
    })
    .filter(({ event }) => config.onDelete === 'remove' || !event.startsWith('cos:ObjectRemove:'))
  const http = triggers.find(({ type, parameters }) => type === 'http' && parameters.enable !== false)
  const [logset, topic] = [resolve(fields(inputs.cls).logsetId), resolve(fields(inputs.cls).topicId)]
  return {
    stage: name,
    region: config.region,
    config,
    runtime: String(inputs.runtime),
    role: resolve(inputs.role) ?? fail('inputs.role is missing'),
    functions: functions.map(([, spec]) => spec),
    rules,
    ...(http && {
      url: { function: http.function, name: String(http.parameters.name), auth: String(http.parameters.authType) },
    }),
    logs:
      logset && topic ? { logset, topic } : { logsetName: String(file.app), topicName: `${String(file.name)}-${name}` },
    mask: createMask(first.environment),
  }
}

function readFunction(key: string, spec: Fields, resolve: (value: unknown) => string | undefined): FunctionSpec {
  const environment: Record<string, string> = {}
  for (const { key: name, value } of list(spec.environments)) {
    const text = resolve(value)
    if (text !== undefined) environment[String(name)] = text
  }
  const number = (name: string) => {
    const value = Number(spec[name])
    return Number.isInteger(value) && value > 0 ? value : fail(`${key}.${name} must be a number`)
  }
  const queue = resolve(fields(spec.deadLetter).name ?? '')
  return {
    name: resolve(spec.name) ?? fail(`${key}.name is missing`),
    handler: String(spec.handler),
    timeout: number('timeout'),
    memory: number('memorySize'),
    environment,
    ...(queue && { deadLetter: { Type: String(fields(spec.deadLetter).type), Name: queue } }),
    ...(spec.retryNum !== undefined && { retries: { num: Number(spec.retryNum), seconds: number('msgTTL') } }),
    ...(spec.reservedConcurrency !== undefined && { reserved: number('reservedConcurrency') }),
  }
}

/** Hides the secrets of an environment, whole or in part, in whatever is printed. */
export function createMask(env: Environment): (text: string) => string {
  const values = SECRETS.flatMap((name) => {
    const value = env[name] ?? ''
    const parts = [value, ...value.split(/[\s,:()?&]+/).filter((part) => part.length >= 12)]
    // Requests are shown as JSON, which writes quotes and backslashes in another way.
    return parts.flatMap((part) => [part, JSON.stringify(part).slice(1, -1)])
  })
  const longest = [...new Set(values)].filter(Boolean).sort((a, b) => b.length - a.length)
  return (text) => longest.reduce((masked, value) => masked.replaceAll(value, '***'), text)
}

function read(root: URL, file: string): Promise<string> {
  return readFile(new URL(file, root), 'utf8')
}

function missing(variable: string): never {
  throw new MattingError('misconfigured', `${variable} is not set: in the shell, .env.<stage> or .env`)
}

function wrong(what: string): MattingError {
  return new MattingError('misconfigured', `serverless.yml: ${what}`)
}

function fail(what: string): never {
  throw wrong(what)
}
