import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import type { Policy } from '../cos/policy.ts'

export interface FunctionSpec {
  /** Its key under `functions`. */
  name: string
  /** Its name where it is deployed. */
  deployedAs?: string
  /** `file.export`; the file is at the root of the deployed folder. */
  handler: string
  /** Seconds. */
  timeout: number
  /** Megabytes. */
  memory: number
  environment: Record<string, string>
  /** The folder with its code; default: what is built. */
  code?: URL
  /** What its role may do, asked whenever it matters; undefined if it has none, and so gets no credentials. */
  policy?: () => Policy | undefined
  /** Most instances at a time, if fewer than usual; 0: it does not run. */
  instances?: number | undefined
  /** How often a failed event is delivered again; default as the queue's. */
  retries?: number
  /** For how long an event is kept, in milliseconds; default: until it is given up. */
  age?: number
  /** Whether events that were given up are kept; default: they are. */
  deadLetters?: boolean
}

export interface CosTrigger {
  function: string
  bucket: string
  /** `cos:ObjectCreated:*` or one of its kinds. */
  events: string
  prefix: string
  suffix: string
}

export interface Serverless {
  functions: FunctionSpec[]
  cosTriggers: CosTrigger[]
  /** Names of the functions that have a URL. */
  urls: string[]
}

/**
 * Reads the part of a serverless.yml (`component: multi-scf`) that says what runs and when.
 * @throws Error that names what is missing or misspelt
 */
export async function readServerless(file: string | URL, env: Readonly<Record<string, string>>): Promise<Serverless> {
  const root = record(parse(await readFile(file, 'utf8')), 'serverless.yml')
  if (root.component !== 'multi-scf') throw new Error('serverless.yml: component must be multi-scf')
  const variables = { stage: text(root.stage, 'stage'), app: text(root.app, 'app'), name: text(root.name, 'name') }
  const resolve = (value: string): string =>
    value.replace(/\$\{(?:env:)?(\w+)\}/g, (whole, name: string) => {
      const known = whole.startsWith('${env:') ? env[name] : Object(variables)[name]
      // The vendor's tool would silently write the text "undefined" here.
      if (typeof known !== 'string') throw new Error(`serverless.yml: ${whole} is not set`)
      return known
    })
  const inputs = record(root.inputs, 'inputs')
  const functions = Object.entries(record(inputs.functions, 'inputs.functions')).map(([name, value]): FunctionSpec => {
    const spec = record(value, name)
    // The vendor's tool silently ignores it.
    if (spec.environment !== undefined)
      throw new Error(`serverless.yml: ${name}.environment must be a list, environments`)
    // A function's list replaces the common one.
    const list = spec.environments ?? inputs.environments ?? []
    const environment = array(list, `${name}.environments`).flatMap((entry): [string, string][] => {
      const { key, value } = record(entry, `${name}.environments`)
      const given = text(value, `${name}.environments ${key}`)
      // What is not set is left out, as it is when this file is deployed.
      const [, variable] = /^\$\{env:(\w+)\}$/.exec(given) ?? []
      return variable !== undefined && !env[variable] ? [] : [[text(key, 'key'), resolve(given)]]
    })
    return {
      name,
      ...(spec.name !== undefined && { deployedAs: resolve(text(spec.name, `${name}.name`)) }),
      handler: text(spec.handler, `${name}.handler`),
      timeout: positive(spec.timeout ?? inputs.timeout ?? 3, `${name}.timeout`),
      memory: positive(spec.memorySize ?? inputs.memorySize ?? 128, `${name}.memorySize`),
      environment: Object.fromEntries(environment),
    }
  })
  const serverless: Serverless = { functions, cosTriggers: [], urls: [] }
  for (const entry of array(inputs.triggers ?? [], 'inputs.triggers')) {
    const trigger = record(entry, 'trigger')
    const name = text(trigger.function, 'trigger.function')
    if (!functions.some((spec) => spec.name === name))
      throw new Error(`serverless.yml: a trigger names the unknown function ${name}`)
    const parameters = record(trigger.parameters, 'trigger.parameters')
    if (trigger.type === 'http') {
      const { enableExtranet } = record(parameters.netConfig ?? {}, 'netConfig')
      if (parameters.enable !== false && enableExtranet === true) serverless.urls.push(name)
    } else if (trigger.type === 'cos') {
      if (parameters.enable !== true) continue
      const { prefix, suffix } = record(parameters.filter ?? {}, 'filter')
      for (const folder of resolve(text(prefix ?? '', 'prefix')).split(',')) {
        serverless.cosTriggers.push({
          function: name,
          bucket: resolve(text(parameters.bucket, 'bucket')),
          events: text(parameters.events, 'events'),
          prefix: folder.trim(),
          suffix: text(suffix ?? '', 'suffix'),
        })
      }
    } else {
      throw new Error(`serverless.yml: the local cloud has no trigger of type ${String(trigger.type)}`)
    }
  }
  return serverless
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`serverless.yml: ${where} must be a map`)
  return Object(value)
}

function array(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) throw new Error(`serverless.yml: ${where} must be a list`)
  return value
}

function positive(value: unknown, where: string): number {
  if (typeof value !== 'number' || !(value > 0)) throw new Error(`serverless.yml: ${where} must be a number`)
  return value
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new Error(`serverless.yml: ${where} must be a string`)
  return value
}
