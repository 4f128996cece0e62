import type { Config } from '../lib/config.ts'
import { tryConfig } from './grant.ts'
import type { Scf } from './scf/scf.ts'
import type { FunctionSpec } from './scf/serverless.ts'

/** How the functions that run now are configured; they may be deployed anew at any time. Undefined: there is none. */
export interface Configured {
  /** The function that objects go to. @throws Error that says what is wrong */
  upload(): Config | undefined
  /** The function that has a URL. @throws the same */
  image(): Config | undefined
}

export function createConfigured({ serverless }: Pick<Scf, 'serverless'>): Configured {
  const known = new WeakMap<FunctionSpec, Config | string>()
  function read(name: string | undefined): Config | undefined {
    const spec = serverless().functions.find((one) => one.name === name)
    if (!spec) return undefined
    const config = known.get(spec) ?? tryConfig(spec)
    known.set(spec, config)
    if (typeof config === 'string') throw new Error(`${name} is misconfigured: ${config}`)
    return config
  }
  return {
    upload: () => read(serverless().cosTriggers[0]?.function),
    image: () => read(serverless().urls[0]),
  }
}
