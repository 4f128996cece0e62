import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { variableNames } from '../lib/environment.ts'
import { MODEL_OPTIONS, readModel } from './model.ts'
import { WAYS } from './scf/variables.ts'

export const USAGE = `npm start -- [options]
  --port N           COS on N, image URLs on N+1, control API on N+2 (4510)
  --empty            an account without functions: deploy into it by the management API, on N+4; events are received on N+3
  --data DIR         where objects, events and the bill are kept (.cloud)
  --set NAME=VALUE   a variable of the functions, instead of the one in serverless.yml; may be repeated
  --events           receive the functions' events on N+3 and print them
  --no-sample        do not put a sample photo
  --quiet            do not tell of each photo and each image URL
  --retry-delay S    seconds before an event is delivered again; the vendor waits 60 (1)
  --event-keys FORM  how events hold keys: encoded or raw (encoded)
  --host NAME=PORT   a host whose pictures are served by this machine on PORT, for DETECT_HOSTS; may be repeated
  --last-modified W  which time of an upload is its Last-Modified: start or end (end)
  --origin URL       an origin whose web pages may use COS and image URLs, such as http://localhost:8080; may be repeated
  --model FILE.onnx  a network of yours cuts out, in place of the own engine (docs/engine.md); what it expects is said by
  --model-preset P   isnet, u2net or birefnet; or by the following, each of which takes the place of what the preset says:
  --model-size WxH, --model-mean R,G,B, --model-std R,G,B (values 0 to 1), --model-output probability|sigmoid|min-max
  --paths FORM       how function-URL events hold paths: raw or decoded (raw)
  --variables WAY    how the functions get their variables: process, context or split (process)`

/**
 * Reads the arguments of `npm start`; undefined if they ask for help.
 * @throws Error in one line, naming what is wrong
 */
export function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string', default: '4510' },
      data: { type: 'string', default: '.cloud' },
      empty: { type: 'boolean', default: false },
      events: { type: 'boolean', default: false },
      'no-sample': { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      'retry-delay': { type: 'string', default: '1' },
      'event-keys': { type: 'string', default: 'encoded' },
      'last-modified': { type: 'string', default: 'end' },
      paths: { type: 'string', default: 'raw' },
      variables: { type: 'string', default: 'process' },
      set: { type: 'string', multiple: true, default: [] },
      host: { type: 'string', multiple: true, default: [] },
      origin: { type: 'string', multiple: true, default: [] },
      ...MODEL_OPTIONS,
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  // Each function is deployed with variables of its own.
  if (values.empty && values.set.length > 0)
    throw new Error('--set: with --empty, there are no functions yet to set it for')
  const model = readModel(values)
  return {
    ...(model && { model }),
    empty: values.empty,
    port: number(values.port, '--port', 0, 65_531),
    data: resolve(values.data),
    environment: Object.fromEntries(values.set.map(readSetting)),
    events: values.events || values.empty,
    sample: !values['no-sample'] && !values.empty,
    quiet: values.quiet,
    retryDelay: number(values['retry-delay'], '--retry-delay', 0, 3_600) * 1000,
    eventKeys: oneOf(values['event-keys'], '--event-keys', ['encoded', 'raw']),
    lastModified: oneOf(values['last-modified'], '--last-modified', ['start', 'end']),
    hosts: new Map(values.host.map(readHost)),
    origins: values.origin.map(readOrigin),
    paths: oneOf(values.paths, '--paths', ['raw', 'decoded']),
    variables: oneOf(values.variables, '--variables', WAYS),
  }
}

function number(text: string, name: string, min: number, max: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= min && value <= max))
    throw new Error(`${name}: expected a number, ${min} to ${max}`)
  return value
}

function readSetting(text: string): [name: string, value: string] {
  const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new Error(`--set: expected NAME=VALUE, not ${text}`)
  if (/^COS_(?:BUCKET|REGION|ENDPOINT)$/.test(name)) throw new Error(`--set: ${name} is the local cloud's`)
  // A misspelt ACCESS would leave every layout open to everybody.
  const names = variableNames()
  if (!names.has(name)) throw new Error(`--set: there is no variable ${name}; there are ${[...names].join(', ')}`)
  return [name, value]
}

function readHost(text: string): [name: string, port: number] {
  const [name = '', port = ''] = text.split('=')
  return [name, number(port, '--host NAME=PORT', 1, 65_535)]
}

/** The origin as browsers write it in the Origin header. */
function readOrigin(text: string): string {
  const { protocol, origin, href } = URL.canParse(text) ? new URL(text) : new URL('about:blank')
  if (/^https?:$/.test(protocol) && href === `${origin}/`) return origin
  throw new Error(`--origin: expected http(s)://host or http(s)://host:port, not ${text}`)
}

function oneOf<T extends string>(text: string, name: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text)
  if (choice === undefined) throw new Error(`${name}: expected ${choices.join(' or ')}`)
  return choice
}
