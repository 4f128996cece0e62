import { appid } from './buckets.ts'

/** An action that must be allowed, such as `cos:GetObject`, on an object or, if `key` is '', on the bucket. */
export interface Need {
  action: string
  bucket: string
  key: string
}

/** A policy of Cloud Access Management (CAM), as parsePolicy has read it. */
export interface Policy {
  statements: Statement[]
}

interface Statement {
  allow: boolean
  actions: ((text: string) => boolean)[]
  resources: ((text: string) => boolean)[]
}

const ACTION = /^(?:\*|(?:name\/)?cos:[a-z*]+|ci:[a-z*]+)$/i
const RESOURCE =
  /^(?:\*|qcs::(?:cos:[a-z0-9-]+:uid\/(\d+):|ci:[a-z0-9-]+:uid\/(\d+):bucket\/)[a-z0-9-]+-(?:\1\2)\/.*)$/s

/**
 * Reads a policy document of version 2.0 without conditions (product/436/30580, product/460/41741).
 * @throws TypeError for everything it does not know, because a condition that is ignored would allow too much or deny too little.
 */
export function parsePolicy(json: unknown): Policy {
  const { version, statement, ...others } = Object(json) as Record<string, unknown>
  refuseOthers(others, 'policy')
  if (version !== '2.0') throw new TypeError('policy.version: expected "2.0"')
  if (!Array.isArray(statement)) throw new TypeError('policy.statement: expected an array')
  return {
    statements: statement.map((entry: unknown, i) => {
      const { effect, action, resource, ...rest } = Object(entry) as Record<string, unknown>
      const at = `policy.statement[${i}]`
      refuseOthers(rest, at)
      if (effect !== 'allow' && effect !== 'deny') throw new TypeError(`${at}.effect: expected allow or deny`)
      return {
        allow: effect === 'allow',
        actions: readList(action, ACTION, `${at}.action`).map((name) =>
          wildcard(name.replace(/^name\//i, '').toLowerCase()),
        ),
        resources: readList(resource, RESOURCE, `${at}.resource`).map((name) => wildcard(name)),
      }
    }),
  }
}

/** Whether the policy allows it. The default is to deny, and one statement that denies outweighs all that allow. */
export function allows({ statements }: Policy, { action, bucket, key }: Need, region: string): boolean {
  const account = `${region}:uid/${appid(bucket)}`
  const resource = action.startsWith('ci:')
    ? `qcs::ci:${account}:bucket/${bucket}/${key}`
    : `qcs::cos:${account}:${bucket}/${key}`
  const fitting = statements.filter(
    ({ actions, resources }) =>
      actions.some((fits) => fits(action.toLowerCase())) && resources.some((fits) => fits(resource)),
  )
  return fitting.length > 0 && fitting.every(({ allow }) => allow)
}

/**
 * Whether a text matches a pattern, in which `*` stands for any characters, slashes included. It is no regular expression,
 * because many `*` would make one backtrack for ever.
 */
export function wildcard(pattern: string): (text: string) => boolean {
  const [first = '', ...parts] = pattern.split('*')
  const last = parts.pop()
  if (last === undefined) return (text) => text === pattern
  return (text) => {
    if (!text.startsWith(first)) return false
    let at = first.length
    for (const part of parts) {
      const found = text.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at + last.length <= text.length && text.endsWith(last)
  }
}

function refuseOthers(others: object, at: string): void {
  const [name] = Object.keys(others)
  if (name !== undefined) throw new TypeError(`${at}.${name}: the local cloud does not know it`)
}

function readList(value: unknown, form: RegExp, at: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new TypeError(`${at}: expected at least one`)
  return list.map((text) => {
    if (typeof text !== 'string' || !form.test(text))
      throw new TypeError(`${at}: the local cloud does not know ${JSON.stringify(text)}`)
    return text
  })
}
