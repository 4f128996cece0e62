import type { Credentials } from './sign.ts'
import { list } from './spelling.ts'

// Readers of single values in the configuration. Each returns undefined for a text that has another form.

/** A text of this form. */
export function matching(form: RegExp): (text: string) => string | undefined {
  return (text) => (form.test(text) ? text : undefined)
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): (text: string) => number | undefined {
  return (text) => (/^\d{1,16}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined)
}

/** One of these words. */
export function oneOf<T extends string>(choices: readonly T[]): (text: string) => T | undefined {
  return (text) => choices.find((choice) => choice === text)
}

/** `SecretId:SecretKey`. */
export function readKey(text: string): Credentials | undefined {
  const [, secretId, secretKey] = /^([\w-]+):(\S+)$/.exec(text) ?? []
  return secretId && secretKey ? { secretId, secretKey } : undefined
}

/** `id:secret, id:secret`, each id once, each secret of at least 16 characters. */
export function readKeys(text: string): Map<string, string> | undefined {
  const entries = list(text, ',').map((entry) => /^([\w-]{1,32}):(\S{16,})$/.exec(entry))
  const keys = new Map(entries.map((match) => [match?.[1] ?? '', match?.[2] ?? '']))
  return keys.size === entries.length && !keys.has('') ? keys : undefined
}

/** Names of hosts in lower case, without ports. */
export function readHosts(text: string): string[] | undefined {
  const hosts = list(text, ',')
  return hosts.every((host) => /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*$/.test(host)) ? hosts : undefined
}

/** An http(s) URL without a user. @throws TypeError if it is no URL */
export function readUrl(text: string): URL | undefined {
  const url = new URL(text)
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : undefined
}

/** An http(s) origin without a path. @throws TypeError if it is no URL */
export function readOrigin(text: string): string | undefined {
  const { origin, protocol, href } = new URL(text)
  return /^https?:$/.test(protocol) && href === `${origin}/` ? origin : undefined
}

/** Folders, each ending in `/`, none of them `.` or `..`. */
export function readPrefixes(text: string): string[] | undefined {
  const prefixes = list(text, ',')
  return prefixes.length > 0 &&
    prefixes.every((prefix) => /^[^/*][^*]*\/$/.test(prefix) && !/(^|\/)\.{0,2}\//.test(prefix))
    ? prefixes
    : undefined
}
