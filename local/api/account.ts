import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkFolder, isFileId, parseJson } from '../folder.ts'

export interface Role {
  id: string
  name: string
  /** Who may take it on, as JSON. */
  trust: string
  description: string
  added: number
  updated: number
  session: number
  /** Of its policies, and since when. */
  attached: { policy: number; since: number }[]
  /** `system` for the vendor's own. */
  type: 'user' | 'system'
}

export interface PolicyRecord {
  id: number
  name: string
  /** As JSON. */
  document: string
  description: string
  added: number
  updated: number
  /** One of the vendor's own. */
  preset: boolean
}

/** How a function is set up, code and all. */
export interface Settings {
  /** Name of the folder with the code. */
  code: string
  /** Bytes of the zip. */
  size: number
  handler: string
  runtime: string
  memory: number
  timeout: number
  initTimeout: number
  description: string
  role: string
  environment: [name: string, value: string][]
  deadLetters?: { Type: string; Name: string; FilterType: string }
  logset: string
  topic: string
}

export type Status = 'Creating' | 'Active' | 'Updating' | 'CreateFailed' | 'UpdateFailed'

export interface FunctionRecord {
  name: string
  id: string
  added: number
  modified: number
  status: Status
  /** How many looks at it the state still lasts. */
  polls: number
  /** The change under way is going to fail. */
  fails: boolean
  wanted: Settings
  /** What runs: while it is updated, and after that has failed, the settings before. */
  live?: Settings
  tags: unknown[]
  retries: number
  /** Seconds for which an event is kept. */
  age: number
  /** Megabytes. */
  reserved?: number
}

export interface CosRule {
  event: string
  prefix: string
  suffix: string
}

export interface TriggerRecord {
  function: string
  name: string
  type: 'cos' | 'http'
  qualifier: string
  open: boolean
  description: string
  added: number
  modified: number
  /** Of a cos trigger. */
  rule?: CosRule
  /** Of a function URL. */
  url?: { intranet: boolean; extranet: boolean; cors?: unknown }
}

export interface Topic {
  id: string
  logset: string
  name: string
  period: number
  added: number
  index?: { rule: unknown; status: boolean; modified: number }
}

export interface State {
  version: 1
  /** The next number for what has numbers. */
  next: number
  roles: Role[]
  policies: PolicyRecord[]
  functions: FunctionRecord[]
  triggers: TriggerRecord[]
  logsets: { id: string; name: string; added: number }[]
  topics: Topic[]
}

/** What an account holds beside objects, in `account.json`, and the code of its functions, in `code/`. */
export class Account {
  readonly state: State
  readonly #file: string
  readonly #code: string

  constructor(dir: string, start: (state: State) => void) {
    this.#file = join(dir, 'account.json')
    this.#code = join(dir, 'code')
    mkdirSync(this.#code, { recursive: true })
    checkFolder(dir)
    if (existsSync(this.#file)) {
      this.state = parseState(readFileSync(this.#file, 'utf8'))
    } else {
      this.state = {
        version: 1,
        next: 1,
        roles: [],
        policies: [],
        functions: [],
        triggers: [],
        logsets: [],
        topics: [],
      }
      start(this.state)
      this.save()
    }
    // SCF knows no package.json above the code; without this one, Node would find that of the folder we are started in.
    writeFileSync(join(this.#code, 'package.json'), '{ "type": "commonjs" }\n')
    this.#sweep()
  }

  /** Where the code of this name lies. */
  folder(code: string): string {
    return join(this.#code, code)
  }

  /** Whole or not at all, whenever the process ends. */
  save(): void {
    writeFileSync(`${this.#file}.tmp`, JSON.stringify(this.state))
    renameSync(`${this.#file}.tmp`, this.#file)
  }

  /** Removes code that nothing is going to run. Only at the start: until then, instances of before may still read theirs. */
  #sweep(): void {
    const used = new Set(this.state.functions.flatMap(({ wanted, live }) => [wanted.code, live?.code]))
    for (const name of readdirSync(this.#code))
      if (name !== 'package.json' && !used.has(name)) rmSync(this.folder(name), { recursive: true, force: true })
  }

  number(): number {
    return this.state.next++
  }
}

/** Rather no start than an account half understood, or code from elsewhere. */
function parseState(text: string): State {
  const state = parseJson(text) as Partial<Record<keyof State, unknown>>
  const { version, next, roles, policies, functions, triggers, logsets, topics } = state
  const lists = [roles, policies, functions, triggers, logsets, topics]
  const isOurs =
    version === 1 &&
    typeof next === 'number' &&
    lists.every((list) => Array.isArray(list) && list.every((entry) => typeof entry === 'object' && entry !== null)) &&
    Array.isArray(functions) &&
    functions.every(({ wanted, live = wanted }) => isFileId(Object(wanted).code) && isFileId(Object(live).code))
  if (!isOurs) throw new Error('account.json does not describe an account.')
  return state as State
}

/** As the vendor writes times: those of Beijing. */
export function beijing(ms: number): string {
  return new Date(ms + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ')
}
