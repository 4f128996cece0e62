import { randomUUID } from 'node:crypto'
import { homedir } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { Config, Environment } from '../lib/config.ts'
import { variableNames } from '../lib/environment.ts'
import { MattingError } from '../lib/errors.ts'
import { createInvocation, type Invocation } from '../lib/invocation.ts'
import type { Credentials } from '../lib/sign.ts'
import { type Account, fields, get, json, list, text } from './api.ts'
import { safe } from './safe.ts'
import { readStage, readVariables, type Stage } from './stage.ts'

/** The options of every command. */
export interface Place {
  stage?: string | undefined
  local?: boolean | undefined
  port?: number | undefined
  set?: readonly string[] | undefined
  /** With --local: works with what the running functions have, not with what would be deployed. */
  running?: boolean
  /** It asks nobody for anything, so it needs no keys. */
  keyless?: boolean
  json?: boolean | undefined
}

/** What the commands work with: where, with whose rights, and how they talk. */
export interface Operator {
  account: Account
  stage: Stage
  config: Config
  /** Works on the bucket with the operator's own keys, for so many milliseconds. */
  open(ms: number): Invocation
  /** A variable of the shell or of .env. */
  variable(name: string): string | undefined
  terminal: Terminal
}

/** Where a command prints, and whether somebody sits there. */
export interface Terminal {
  /** Whether somebody is there who can be asked, and who sees a progress bar. */
  isThere: boolean
  json: boolean
  /** Prints a line of a result; nothing with --json, where the result is printed as a whole. */
  print(line: string): void
  /** Prints what is not a result: progress, warnings. */
  say(line: string): void
  /** Colours a text, if colours are shown. */
  paint(style: Style, text: string): string
  /** Asks; false if nobody is there. */
  confirm(question: string): Promise<boolean>
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red'

export const ROOT = new URL('../', import.meta.url)
const COS_PORT = 4510
const LOCAL_KEYS: Credentials = { secretId: 'local-id', secretKey: 'local-secret' }

/** Opens the account, or the local cloud, that a command works on. @throws MattingError, saying what is missing or wrong */
export async function openOperator(place: Place, shell: Environment, terminal: Terminal): Promise<Operator> {
  const port = place.port ?? COS_PORT
  if (place.port !== undefined && !place.local) throw new MattingError('bad-request', '--port is for --local.')
  if ((place.set ?? []).length > 0 && !place.local) throw new MattingError('bad-request', '--set is for --local.')
  const variables = place.local
    ? (place.running && (await runningVariables(port))) || localVariables(port, place.set)
    : await readVariables(ROOT, place.stage, shell)
  const stage = await readStage(ROOT, place.stage, variables)
  const account: Account = {
    region: stage.region,
    credentials: place.local || place.keyless ? LOCAL_KEYS : await readKeys(variables),
    ...(place.local && { local: { cos: port, api: port + 4, control: port + 2 } }),
    now: Date.now,
    random: Math.random,
    sleep,
  }
  const { config } = stage
  return {
    account,
    stage,
    config,
    open(ms) {
      const { credentials, now, random } = account
      return createInvocation(config, { credentials, now, random, uuid: randomUUID, deadline: now() + ms })
    },
    variable: (name) => shell[name]?.trim() || variables[name]?.trim() || undefined,
    terminal,
  }
}

/** The terminal of this process. */
export function openTerminal({
  json = false,
  yes = false,
}: {
  json?: boolean | undefined
  yes?: boolean | undefined
}): Terminal {
  const isThere = Boolean(process.stdin.isTTY && process.stdout.isTTY)
  // It heeds NO_COLOR and FORCE_COLOR, which a program that reads the output may set as well.
  const colours = !json && Boolean(process.stdout.hasColors?.())
  return {
    isThere,
    json,
    print: (line) => void (json || console.log(safe(line))),
    say: (line) => console.error(safe(line)),
    paint: (style, text) => (colours ? styleText(style, text) : text),
    async confirm(question) {
      if (yes) return true
      if (!isThere) return false
      const terminal = createInterface(process.stdin, process.stdout)
      const answer = await terminal.question(`${safe(question)} [y/N] `)
      terminal.close()
      return /^y(es)?$/i.test(answer.trim())
    },
  }
}

/** Asks before something is taken away. @throws MattingError bad-request, if nobody is there who could be asked */
export async function mayDelete(terminal: Terminal, question: string, command: string): Promise<boolean> {
  if (await terminal.confirm(question)) return true
  if (!terminal.isThere)
    throw new MattingError('bad-request', `Nothing was done. Without a terminal, ${command} needs --yes.`)
  terminal.print('Nothing was done.')
  return false
}

/** The variables that the running local cloud's functions have; undefined if it has no functions. */
async function runningVariables(port: number): Promise<Environment | undefined> {
  const { status, body } = await get(`http://127.0.0.1:${port + 2}/api/functions`).catch(() => {
    throw new MattingError(
      'unavailable',
      `No local cloud answers on port ${port + 2}, two above its COS port. Does \`npm start\` run${port === COS_PORT ? '' : ` with --port ${port}`}?`,
    )
  })
  // A command that deletes must not guess the folders.
  const { functions } = json(body.toString())
  if (status !== 200 || !Array.isArray(functions))
    throw new MattingError(
      'unavailable',
      `Port ${port + 2} answers ${status}, and is not the control port of a local cloud of this version: is ${port} its COS port?`,
    )
  const upload = list(functions).find(({ handler }) => text(handler).startsWith('upload.'))
  if (!upload) return undefined
  const variables: [string, unknown][] = Object.entries(fields(upload.environment))
  return Object.fromEntries(variables.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}

/** Neither the shell's variables nor .env: what is deployed into the local cloud is the same on every machine. */
export function localVariables(port: number, set: readonly string[] = []): Environment {
  // The queue is no variable of the functions, but of serverless.yml.
  const names = new Set([...variableNames(), 'DEAD_LETTER_QUEUE'])
  const given = set.map((text) => {
    const [, name = '', value = ''] = /^([A-Z_]+)=(.*)$/.exec(text) ?? []
    // Of a misspelt one not the value, which may be a secret.
    if (!names.has(name))
      throw new MattingError('bad-request', `--set: expected NAME=VALUE of a variable, not ${text.split('=')[0]}`)
    return [name, value] as const
  })
  const place: Environment = {
    COS_BUCKET: 'photos-1250000000',
    COS_REGION: 'ap-guangzhou',
    COS_ENDPOINT: `http://127.0.0.1:${port}`,
  }
  const [fixed] = given.find(([name]) => Object.hasOwn(place, name)) ?? []
  if (fixed) throw new MattingError('bad-request', `--set: ${fixed} is the local cloud's`)
  const { CUTOUT_BUCKET: other } = Object.fromEntries<string | undefined>(given)
  return {
    ACCESS: 'open',
    DELIVERY_KEY: 'local-delivery:local-secret',
    PRESETS: 'card: center-layout 1, padding-layout 20x10',
    ...Object.fromEntries(given),
    ...place,
    ...(other && { CUTOUT_ENDPOINT: `http://${other}.localhost:${port}` }),
  }
}

/** The operator's keys, from the places where the vendor's own tools look for them. @throws MattingError misconfigured */
export async function readKeys(env: Environment): Promise<Credentials> {
  const { TENCENTCLOUD_SECRET_ID: id, TENCENTCLOUD_SECRET_KEY: key, TENCENTCLOUD_SESSION_TOKEN: session } = env
  if (id && key) return { secretId: id, secretKey: key, ...(session && { token: session }) }
  const { ProfileCredential } = await import('tencentcloud-sdk-nodejs-common')
  const { secretId, secretKey, token } = await new ProfileCredential().getCredential()
  if (!secretId || !secretKey)
    throw new MattingError(
      'misconfigured',
      `There are no keys: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, or write secret_id and secret_key under [default] into ${homedir()}/.tencentcloud/credentials.`,
    )
  return { secretId, secretKey, ...(token && { token }) }
}
