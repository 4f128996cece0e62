import type { Cos } from '../cos.ts'
import { cutoutFolder, etagPart, RECORDS } from '../cutout.ts'
import { type Code, codes, MattingError } from '../errors.ts'

interface Version {
  key: string
  etag: string
}

/** The folder of what is known against the versions of a photo. */
export function failureFolder(prefix: string, key: string): string {
  return `${RECORDS}failed/${cutoutFolder(prefix, key)}`
}

/**
 * Notes that a photo cannot be cut out, at all or in one layout, so that nobody asks the vendor again until it changes. All that
 * is read again stands in the name, `<first 16 of ETag>[-<layout>].<code>.json`; what is in it is for people.
 */
export async function writeFailure(
  cos: Cos,
  prefix: string,
  { key, etag }: Version,
  { code, message }: MattingError,
  layout?: string,
): Promise<void> {
  const name = `${etagPart(etag)}${layout ? `-${layout}` : ''}.${code}.json`
  const text = JSON.stringify({ code, message, at: new Date(cos.clock()).toISOString(), key, etag, layout })
  await cos.put(failureFolder(prefix, key) + name, text, { type: 'application/json' })
}

/** @throws MattingError why this version of a photo cannot be cut out in one of the layouts, if that is known: one LIST */
export async function checkFailure(
  cos: Cos,
  prefix: string,
  { key, etag }: Version,
  layouts: readonly string[],
): Promise<void> {
  const start = failureFolder(prefix, key) + etagPart(etag)
  for await (const found of cos.list(start)) {
    const [, layout, code] = /^(?:-([\w-]+))?\.([a-z-]+)\.json$/.exec(found.key.slice(start.length)) ?? []
    if (isFinal(code) && (layout === undefined || layouts.includes(layout))) throw new MattingError(code)
  }
}

function isFinal(code: string | undefined): code is Code {
  return code !== undefined && codes.get(code)?.retryable === false
}
