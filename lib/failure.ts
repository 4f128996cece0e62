import type { Cos } from './cos.ts'
import { cutoutFolder, etagPart, RECORDS } from './cutout.ts'
import { type Code, codes, MattingError } from './errors.ts'

/** The folder of what is known against the versions of a photo, one object for each. */
export function failureFolder(prefix: string, key: string): string {
  return `${RECORDS}failed/${cutoutFolder(prefix, key)}`
}

function failureKey(prefix: string, { key, etag }: { key: string; etag: string }): string {
  return `${failureFolder(prefix, key)}${etagPart(etag)}.json`
}

/** Notes that a photo cannot be cut out, so that nobody asks the vendor again until it changes. */
export async function writeFailure(
  cos: Cos,
  prefix: string,
  source: { key: string; etag: string },
  { code, message }: MattingError,
): Promise<void> {
  const text = JSON.stringify({ code, message, at: new Date(cos.clock()).toISOString(), ...source })
  await cos.put(failureKey(prefix, source), text, { type: 'application/json' })
}

/** @throws MattingError why this version of the photo cannot be cut out, if that is known */
export async function checkFailure(cos: Cos, prefix: string, source: { key: string; etag: string }): Promise<void> {
  const found = await cos.get(failureKey(prefix, source))
  if (!found) return
  const code = readCode(found.body)
  // Somebody else scribbled on it: asking the vendor again tells.
  if (code) throw new MattingError(code)
}

function readCode(text: string): Code | undefined {
  try {
    const { code } = Object(JSON.parse(text))
    return codes.get(code)?.retryable === false ? code : undefined
  } catch {
    return undefined
  }
}
