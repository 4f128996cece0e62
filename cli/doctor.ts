import { MattingError } from '../lib/errors.ts'
import { type Account, ask, call, fields, get, json, text } from './api.ts'
import { bucket, checkVersioning, hasRules, isBound, isOpen } from './bucket.ts'
import { type Code, functions, scf, settled } from './function.ts'
import { logTopic } from './logs.ts'
import { role } from './role.ts'
import type { Stage } from './stage.ts'
import { apply, go, type Step, UNKNOWN } from './step.ts'
import { checkForeign, triggers } from './triggers.ts'
import { findUrl, functionUrl } from './url.ts'

/** What was found of one condition: as it should be, advice, or wrong. */
interface Finding {
  name: string
  mark: '✓' | '!' | '✗'
  text: string
}

interface Check {
  name: string
  /** Returns what is to be said; throws what is wrong. */
  look: () => Promise<string | { advice: string }>
  /** The step that mends it. */
  mend?: () => Step<unknown>
}

export interface DoctorOptions {
  fix?: boolean
  json?: boolean
  print: (line: string) => void
}

/** Looks at everything that a deployment stands on, and mends what it can with `fix`. Returns whether nothing is wrong. */
export async function doctor(account: Account, stage: Stage, code: Code, options: DoctorOptions): Promise<boolean> {
  const findings: Finding[] = []
  for (const check of checks(account, stage, code)) {
    let finding = await examine(check)
    if (finding.mark !== '✓' && options.fix && check.mend) {
      const { said } = await go(check.mend(), (change) => apply(account, change))
      finding = await examine(check)
      if (said.length > 0) finding.text = `${finding.text} (mended: ${said.join('; ')})`
    }
    finding.text = stage.mask(finding.text)
    findings.push(finding)
    if (!options.json) options.print(`${finding.mark} ${finding.name.padEnd(28)} ${finding.text}`)
  }
  if (options.json) options.print(JSON.stringify(findings, null, 2))
  return findings.every(({ mark }) => mark !== '✗')
}

async function examine({ name, look }: Check): Promise<Finding> {
  try {
    const said = await look()
    return typeof said === 'string' ? { name, mark: '✓', text: said } : { name, mark: '!', text: said.advice }
  } catch (error) {
    if (!(error instanceof MattingError)) throw error
    return { name, mark: '✗', text: error.message }
  }
}

function* checks(account: Account, stage: Stage, code: Code): Generator<Check> {
  const { bucket: photos, cutoutBucket: cutouts } = stage.config
  const mendBucket = () => bucket(account, stage, false)
  const { deadLetter, name: upload = '' } = stage.functions.find(({ retries }) => retries) ?? {}
  yield { name: 'bucket', look: () => clock(account, photos) }
  yield { name: 'versioning', look: () => checkVersioning(account, cutouts).then(() => 'off, and never was on') }
  yield {
    name: 'Cloud Infinite',
    look: async () => ((await isBound(account, photos)) ? 'bound' : wrong('not bound to the bucket; --fix binds it')),
    mend: mendBucket,
  }
  yield {
    name: 'AI recognition',
    look: async () => ((await isOpen(account, photos)) ? 'open' : wrong('not open for the bucket; --fix opens it')),
    mend: mendBucket,
  }
  yield {
    name: 'CORS',
    look: async () =>
      (await hasRules(account, cutouts)).cors
        ? 'pages may draw the pictures'
        : { advice: 'pages cannot draw the pictures on a canvas; --fix adds a rule' },
    mend: mendBucket,
  }
  yield {
    name: 'lifecycle',
    look: async () =>
      (await hasRules(account, cutouts)).lifecycle
        ? 'old claims expire'
        : { advice: 'old claims stay for ever; --fix adds a rule' },
    mend: mendBucket,
  }
  yield same('role', () => role(account, stage))
  yield { name: 'other triggers', look: () => checkForeign(account, stage).then(() => 'none overlaps') }
  const all = async function* (): Step {
    yield* functions(account, stage, code, yield* logTopic(account, stage))
  }
  yield same('functions', all)
  yield same('triggers', () => triggers(account, stage))
  yield same('function URL', () => functionUrl(account, stage))
  yield { name: 'image URLs', look: () => answers(account, stage) }
  for (const { name, environment } of stage.functions)
    yield { name: `self-test ${name}`, look: () => tested(account, name, Object.keys(environment)) }
  yield {
    name: 'dead letters',
    look: async () => {
      const { Name } = fields((await settled(account, upload))?.DeadLetterConfig)
      if (text(Name)) return `kept in ${Name}`
      return { advice: `events that fail ${deadLetter ? '' : 'are lost; '}set DEAD_LETTER_QUEUE to keep them` }
    },
  }
}

/** That a step has nothing to do. */
function same(name: string, step: () => Step<unknown>): Check {
  const look = async () => {
    const { said } = await go(step(), async () => UNKNOWN)
    return said.length === 0 ? 'as it should be' : wrong(`to do: ${said.join('; ')}; --fix or deploy does it`)
  }
  return { name, look, mend: step }
}

/** That the bucket answers, and tells the same time: COS refuses what was signed a quarter of an hour ago. */
async function clock(account: Account, name: string): Promise<string | { advice: string }> {
  const { headers } = await ask(account, {
    bucket: name,
    door: 'cos',
    method: 'GET',
    key: '',
    query: { 'max-keys': '1' },
  })
  const ahead = Math.round((account.now() - Date.parse(text(headers.date))) / 1000)
  if (Math.abs(ahead) > 60)
    return { advice: `answers; this machine's clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'} it` }
  return 'answers, and has the same time as this machine'
}

/** That the function URL leads to the image function, by a request that costs nothing. */
async function answers(account: Account, stage: Stage): Promise<string> {
  const origin = await findUrl(account, stage)
  if (!origin) return wrong('there is no function URL')
  const { status, headers } = await get(`${origin}/no-such-preset/photo`)
  const type = text(headers['content-type'])
  if (status >= 500 || !type.includes('problem+json'))
    return wrong(`${origin} answers ${status} ${type}, which the image function does not`)
  return origin
}

/** What the function itself tells: the variables that it sees, and what its role may do. */
async function tested(account: Account, name: string, wanted: readonly string[]): Promise<string> {
  if (!(await settled(account, name))) return wrong('there is no such function')
  const params = { FunctionName: name, InvocationType: 'RequestResponse', ClientContext: '{"self-test":{}}' }
  const { RetMsg, ErrMsg } = fields((await call(account, scf('Invoke', params))).Result)
  const { names, probes } = json(RetMsg)
  if (!Array.isArray(names)) return wrong(`it does not tell of itself: ${text(ErrMsg) || 'other code runs there'}`)
  const missing = wanted.filter((variable) => !names.includes(variable))
  const refused = Object.entries(fields(probes)).filter(([, outcome]) => outcome !== 'ok')
  if (missing.length > 0) return wrong(`it does not see ${missing.join(', ')}`)
  if (refused.length > 0) return wrong(`its role: ${refused.map(([what, why]) => `${what} ${why}`).join(', ')}`)
  return `sees ${names.length} variables; its role may ${Object.keys(fields(probes)).slice(0, -1).join(', ')}`
}

function wrong(what: string): never {
  throw new MattingError('misconfigured', what)
}
