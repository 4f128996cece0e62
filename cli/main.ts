import { homedir } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ProfileCredential } from 'tencentcloud-sdk-nodejs-common'
import type { Environment } from '../lib/config.ts'
import { variableNames } from '../lib/environment.ts'
import { MattingError } from '../lib/errors.ts'
import type { Credentials } from '../lib/sign.ts'
import type { Account } from './api.ts'
import { deploy, undeploy } from './deploy.ts'
import { doctor } from './doctor.ts'
import { type Code, readCode } from './function.ts'
import { readStage, readVariables, type Stage } from './stage.ts'

const ROOT = new URL('../', import.meta.url)
const OPTIONS = {
  stage: { type: 'string' },
  local: { type: 'boolean', default: false },
  port: { type: 'string' },
  set: { type: 'string', multiple: true, default: [] as string[] },
  'dry-run': { type: 'boolean', default: false },
  diff: { type: 'boolean', default: false },
  'no-build': { type: 'boolean', default: false },
  'no-smoke': { type: 'boolean', default: false },
  'strict-signature': { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
  fix: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

type Values = ReturnType<typeof readArguments>['values']

interface Command {
  does: string
  /** The options that it has beside those of every command. */
  options: readonly (keyof typeof OPTIONS)[]
  /** Returns the exit code. */
  run(account: Account, stage: Stage, values: Values): Promise<number>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  deploy: {
    does: 'brings the account to what serverless.yml says',
    options: ['dry-run', 'diff', 'no-build', 'no-smoke', 'strict-signature'],
    async run(account, stage, values) {
      const changes = await deploy(account, stage, await code(values['no-build']), {
        only: values['dry-run'] ? 'requests' : values.diff ? 'differences' : undefined,
        smoke: !values['no-smoke'],
        strict: values['strict-signature'],
        print: console.log,
      })
      return values.diff && changes > 0 ? 1 : 0
    },
  },
  undeploy: {
    does: 'takes functions, triggers and role away; photos, cutouts and logs stay',
    options: ['dry-run', 'yes'],
    async run(account, stage, values) {
      if (!values.yes && !values['dry-run'] && !(await confirm(`Undeploy ${stage.stage} of ${stage.config.bucket}?`)))
        throw new MattingError('bad-request', 'Nothing was done. Without a terminal, undeploy needs --yes.')
      await undeploy(account, stage, { only: values['dry-run'] ? 'requests' : undefined, print: console.log })
      return 0
    },
  },
  doctor: {
    does: 'checks whether everything is as it should be; --fix mends what it can',
    options: ['fix', 'json', 'no-build'],
    async run(account, stage, { fix, json, 'no-build': noBuild }) {
      return (await doctor(account, stage, await code(noBuild), { fix, json, print: console.log })) ? 0 : 1
    },
  },
}

const USAGE = `cos-goods-matting <command> [options]
${Object.entries(COMMANDS)
  .map(
    ([name, { does, options }]) =>
      `  ${name.padEnd(9)} ${does}\n${' '.repeat(12)}${options.map((o) => `--${o}`).join(' ')}`,
  )
  .join('\n')}
with every command:
  --stage S          another stage than serverless.yml's; its variables are in .env.S
  --local            the local cloud of \`npm start -- --empty\`, not an account
  --port N           with --local: its COS port (4510)
  --set NAME=VALUE   with --local: a variable of the functions; may be repeated`

/** Runs the command line; what goes wrong is told in one line. @returns the exit code */
export async function main(args: string[], shell: Environment): Promise<number> {
  try {
    return await execute(args, shell)
  } catch (error) {
    const isKnown = error instanceof MattingError || String(Object(error).code).startsWith('ERR_PARSE_ARGS')
    console.error(isKnown ? Object(error).message : error)
    return 1
  }
}

async function execute(args: string[], shell: Environment): Promise<number> {
  const { values, positionals } = readArguments(args)
  const [name = '', ...more] = positionals
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (values.help || !command || more.length > 0) {
    const strange = command ? more[0] : name
    if (strange && !values.help) console.error(`There is no ${command ? 'argument' : 'command'} ${strange}.`)
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const foreign = Object.entries(COMMANDS)
    .flatMap(([, { options }]) => options)
    .find((option) => values[option] && !command.options.includes(option))
  if (foreign) throw new MattingError('bad-request', `${name} has no --${foreign}.`)
  if (values.port !== undefined && !values.local) throw new MattingError('bad-request', '--port is for --local.')
  const port = Number(values.port ?? 4510)
  if (!(Number.isInteger(port) && port > 0 && port <= 65_531))
    throw new MattingError('bad-request', '--port: expected a number, 1 to 65531')
  if (values.set.length > 0 && !values.local) throw new MattingError('bad-request', '--set is for --local.')
  const variables = values.local ? localVariables(port, values.set) : await readVariables(ROOT, values.stage, shell)
  const stage = await readStage(ROOT, values.stage, variables)
  const account = {
    region: stage.region,
    credentials: values.local ? { secretId: 'local-id', secretKey: 'local-secret' } : await readKeys(variables),
    ...(values.local && { local: { cos: port, api: port + 4 } }),
    now: Date.now,
    random: Math.random,
    sleep,
  }
  return command.run(account, stage, values)
}

/** What is in the clone, built now, so that nothing older is deployed. */
async function code(isBuilt: boolean): Promise<Code> {
  if (!isBuilt) await import(new URL('build.mjs', ROOT).href)
  return readCode(new URL('dist/', ROOT))
}

function readArguments(args: string[]) {
  return parseArgs({ args, options: OPTIONS, allowPositionals: true })
}

/** Neither the shell's variables nor .env: what is deployed into the local cloud is the same on every machine. */
export function localVariables(port: number, set: readonly string[]): Environment {
  const names = variableNames()
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

/** The deployer's keys, from the places where the vendor's own tools look for them. */
export async function readKeys(env: Environment): Promise<Credentials> {
  const { TENCENTCLOUD_SECRET_ID: id, TENCENTCLOUD_SECRET_KEY: key, TENCENTCLOUD_SESSION_TOKEN: session } = env
  const profile = await new ProfileCredential().getCredential()
  const { secretId, secretKey, token } = id && key ? { secretId: id, secretKey: key, token: session } : profile
  if (!secretId || !secretKey)
    throw new MattingError(
      'misconfigured',
      `There are no keys: set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, or write secret_id and secret_key under [default] into ${homedir()}/.tencentcloud/credentials.`,
    )
  return { secretId, secretKey, ...(token && { token }) }
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface(process.stdin, process.stdout)
  const answer = await terminal.question(`${question} [y/N] `)
  terminal.close()
  return /^y(es)?$/i.test(answer.trim())
}
