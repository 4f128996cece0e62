import { type Config, type Environment, readConfig, readCredentials } from './config.ts'
import { quietly } from './quietly.ts'
import type { Credentials } from './sign.ts'

/** What an invocation reads from its environment. */
export interface Settings {
  config: Config
  credentials: Credentials
  /** The names of the variables that are set. */
  names: () => string[]
}

/** The role in `context.environ`. It holds no `;`, but a token may hold the `=` at which the bootstrap cuts it. */
const ROLE = /(?:^|;)(TENCENTCLOUD_[A-Z]+)=([^;]*)/g

/**
 * Gives every invocation its settings, by its context. How SCF passes the environment depends on the runtime: in the process's
 * variables; or as JSON in `context.environment`, which may hold only some of the variables, and each of them takes precedence
 * (as in the vendor's own SDK, @cloudbase/node-sdk); or, in older runtimes, as the text `context.environ`, which the bootstrap
 * cuts at `;` and `=` to set the process's variables for every invocation (scfcli, runtime/nodejs8.9/bootstrap.js).
 *
 * Credentials rotate. Those of the context were made for this invocation, those of the process perhaps when the instance
 * started. Id, key and token come from one place, because values of two places do not belong together.
 *
 * Caches the configuration while the variables that it was read from stay the same. They are compared only when the context has
 * changed, because reading the process's variables would take a quarter of the time of a hit.
 */
export function createSettings(process: Environment): (context: unknown) => Settings {
  let seen: { text?: string | undefined; environ?: unknown } = {}
  let given: Environment = {}
  let role: Environment = {}
  let config: Config | undefined
  const read = new Map<string, string | undefined>()
  const variable = (name: string) => given[name] ?? process[name]
  const env = new Proxy<Environment>(
    {},
    {
      get(_, name) {
        const value = variable(String(name))
        read.set(String(name), value)
        return value
      },
    },
  )

  return (context) => {
    const { environment, environ } = Object(context)
    const text = typeof environment === 'string' ? environment : quietly(() => JSON.stringify(environment))
    if (text !== seen.text || environ !== seen.environ) {
      seen = { text, environ }
      given = texts(quietly(() => JSON.parse(text ?? '')))
      role = Object.fromEntries(Array.from(String(environ).matchAll(ROLE), ([, name, value]) => [name, value]))
      if ([...read].some(([name, value]) => variable(name) !== value)) config = undefined
    }
    config ??= readConfig(env)
    const from = [given, role].find((one) => one.TENCENTCLOUD_SECRETID && one.TENCENTCLOUD_SECRETKEY)
    const names = () => [...read].flatMap(([name, value]) => (value ? [name] : []))
    return { config, credentials: readCredentials(from ?? process), names }
  }
}

/** Only the entries that are text; nothing else can be a variable. */
function texts(value: unknown): Environment {
  const entries: [string, unknown][] = Object.entries(Object(value))
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

/** The names of all variables that `readConfig` reads. */
export function variableNames(): Set<string> {
  const names = new Set<string>()
  const place: Environment = { COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }
  const get = (env: Environment, name: string | symbol) => {
    names.add(String(name))
    return Reflect.get(env, name)
  }
  readConfig(new Proxy(place, { get }))
  return names
}
