import { type Config, readConfig } from '../lib/config.ts'
import { MattingError } from '../lib/errors.ts'
import { deliveryPolicy, resources, rolePolicy, uploadPolicy } from '../lib/policy.ts'
import type { Key } from './cos/cos.ts'
import { type Policy, parsePolicy } from './cos/policy.ts'
import type { FunctionSpec } from './scf/serverless.ts'

/** May read, and no more: signs the URLs of pictures. */
export const DELIVERY = { secretId: 'local-delivery', secretKey: 'local-secret' }
/** May put photos and have them cut out, and no more: signs the uploads of browsers. */
export const UPLOAD = { secretId: 'local-upload', secretKey: 'local-secret' }
/** May put photos, and no more: signs the uploads of the page that are not to be paid for, be what it may added to their URLs. */
export const PAGE = { secretId: 'local-page', secretKey: 'local-secret' }

/** Lets the keys of a function do what its policies say. One that is not configured rightly may do nothing; returns what is wrong. */
export function grant(spec: FunctionSpec, keys: Map<string, Key>, policies: Map<string, Policy>): string | undefined {
  policies.set(spec.name, parsePolicy({ version: '2.0', statement: [] }))
  const config = tryConfig(spec)
  if (typeof config === 'string') return config
  policies.set(spec.name, parsePolicy(rolePolicy(config)))
  grantKeys(config, keys)
  return undefined
}

/** Lets the keys that are given away do what this configuration means them to. */
export function grantKeys(config: Config, keys: Map<string, Key>): void {
  keys.set(DELIVERY.secretId, { secret: DELIVERY.secretKey, policy: parsePolicy(deliveryPolicy(config)) })
  keys.set(UPLOAD.secretId, { secret: UPLOAD.secretKey, policy: parsePolicy(uploadPolicy(config)) })
  const photos = config.sourcePrefixes.map((prefix) => resources(config.bucket, config).cos(`${prefix}*`))
  const statement = [{ effect: 'allow', action: ['name/cos:PutObject'], resource: photos }]
  keys.set(PAGE.secretId, { secret: PAGE.secretKey, policy: parsePolicy({ version: '2.0', statement }) })
}

/** A function's configuration, or what is wrong with it. */
export function tryConfig({ environment }: FunctionSpec): Config | string {
  try {
    return readConfig(environment)
  } catch (error) {
    if (!(error instanceof MattingError)) throw error
    return error.message
  }
}
