import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Key } from '../cos/cos.ts'
import type { Policy } from '../cos/policy.ts'

/** How long the role's credentials are valid, and after what time an instance receives new ones, in milliseconds. */
const ROLE_LIFE = 3_600_000
const ROLE_REFRESH = 900_000

/** Temporary credentials of the execution role, renewed well before they end: of a function, and then of its instances. */
export function createRole(keys: Map<string, Key>, clock: Clock) {
  return (name: string, policy: Policy | undefined) => {
    const given = new Map<number, { since: number; environment: Record<string, string> }>()
    return (instance: number): Record<string, string> => {
      const now = clock.now()
      const known = given.get(instance)
      if (known && now - known.since < ROLE_REFRESH) return known.environment
      for (const [id, { expires = now }] of keys) if (expires < now) keys.delete(id)
      const id = `local-role-${name}-${instance}-${randomBytes(6).toString('hex')}`
      // Real tokens hold `+`, `/` and `=`, which must survive a URL.
      const [secret, token] = [randomBytes(16).toString('hex'), `${randomBytes(32).toString('base64')}+/==`]
      keys.set(id, { secret, token, expires: now + ROLE_LIFE, ...(policy && { policy }) })
      const environment = {
        TENCENTCLOUD_SECRETID: id,
        TENCENTCLOUD_SECRETKEY: secret,
        TENCENTCLOUD_SESSIONTOKEN: token,
      }
      given.set(instance, { since: now, environment })
      return environment
    }
  }
}
