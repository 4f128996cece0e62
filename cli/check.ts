import { readFile } from 'node:fs/promises'
import { readRequest } from '../lib/asked.ts'
import { MattingError } from '../lib/errors.ts'
import { explain } from '../lib/explain.ts'
import { layoutName } from '../lib/layout.ts'
import { report } from '../lib/pay/pay.ts'
import { isUnder } from '../lib/source.ts'
import { keysOf } from './explain.ts'
import type { Operator } from './operator.ts'

/** Whether something would be done, and what it would cost. */
export interface Checked {
  what: string
  allowed: boolean
  /** The most paid calls that it would make now. */
  calls: number
  why: string
}

/**
 * Says whether a photo's event, an image URL, or the events in a file would be allowed, and what each would cost. Decided by what
 * decides in the functions; nothing is paid. @throws MattingError unavailable, denied
 */
export async function check(operator: Operator, what: string): Promise<Checked[]> {
  if (/^https?:\/\//i.test(what)) {
    if (!URL.canParse(what)) throw new MattingError('bad-request', `${what} is no URL.`)
    return [await checkUrl(operator, what)]
  }
  const text = /\.jsonl?$/i.test(what) ? await readEvents(what, operator.config.sourcePrefixes) : undefined
  if (text === undefined) return [await checkKey(operator, what)]
  const keys = keysOf(text)
  if (keys.length === 0) throw new MattingError('bad-request', `${what} holds no event of COS's.`)
  const checked: Checked[] = []
  // Of two readings of a key one exists at most.
  for (const key of new Set(keys)) checked.push(await checkKey(operator, key))
  return checked
}

/** What a file of events holds; undefined if it is not there, but may be the key of an object. @throws MattingError bad-request */
function readEvents(file: string, sourcePrefixes: readonly string[]): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (isUnder(file, sourcePrefixes)) return undefined
    throw new MattingError('bad-request', `${file} cannot be read: ${Object(error).code}`)
  })
}

async function checkKey(operator: Operator, key: string): Promise<Checked> {
  const { isAllowed: allowed, missing, why } = await explain(operator.open(60_000), key)
  return { what: key, allowed, calls: allowed ? missing.length : 0, why }
}

async function checkUrl({ config, open }: Operator, url: string): Promise<Checked> {
  const invocation = open(60_000)
  const { cos } = invocation
  const no = (error: MattingError): Checked => {
    return { what: url, allowed: false, calls: 0, why: `${error.code}: ${error.message}` }
  }
  const yes = (calls: number, why: string): Checked => ({ what: url, allowed: true, calls, why })
  try {
    const { layout, sources, expires } = readRequest(new URL(url), config)
    const [first] = sources
    if (first instanceof URL) return yes(1, 'It is a picture elsewhere, which is paid for once for each version of it.')
    const heads = await Promise.all(
      sources.map(async (key) => ({ key: String(key), head: await cos.head(String(key)) })),
    )
    const [found] = heads.flatMap(({ key, head }) => (head ? [{ key, ...head }] : []))
    // COS's clock is known from its answers alone.
    if (expires <= cos.clock() / 1000) throw new MattingError('expired')
    if (!found) throw new MattingError('not-found')
    const { missing, refusal } = await report(invocation, found, [layout])
    if (refusal) throw refusal
    const until =
      expires === Number.POSITIVE_INFINITY ? '' : ` Its signature ends ${new Date(expires * 1000).toISOString()}.`
    if (config.delivery === 'direct') return yes(1, `Each fetch of it is paid.${until}`)
    if (missing.length > 0)
      return yes(1, `Its cutout (${layoutName(layout)}) is made and paid at the first request.${until}`)
    return yes(0, `Its cutout (${layoutName(layout)}) is there.${until}`)
  } catch (error) {
    if (error instanceof MattingError && error.status < 500) return no(error)
    throw error
  }
}

export function* printChecked(all: readonly Checked[]): Generator<string> {
  for (const { what, allowed, calls, why } of all) {
    yield `${allowed ? 'yes' : 'no'}  ${what}: ${calls === 1 ? 'one paid call' : calls === 0 ? 'nothing to pay' : `${calls} paid calls`}`
    yield `     ${why}`
  }
}
