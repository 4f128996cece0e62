import type { Cos } from './cos.ts'
import { cutoutKey } from './cutout.ts'
import { MattingError } from './errors.ts'
import { type Layout, layoutName, rule } from './layout.ts'

/** A photo as HEAD saw it. */
export interface Source {
  key: string
  etag: string
  size: number
}

export interface Cutout {
  /** Short name of its layout. */
  layout: string
  key: string
  /** Whether this very call paid for it. */
  paid: boolean
}

export interface Payer {
  cos: Cos
  cutoutPrefix: string
  maxSourceBytes: number
  now: () => number
  /** Milliseconds since the epoch. */
  deadline: number
}

/** The vendor's bound for one request (product/436/74972). */
const MAX_RULES = 5
/** Less time than this is not enough for a matting call: 1.6 to 4.4 s are usual. In milliseconds. */
const LEAST_TIME = 5_000
/** What the look after a paid call needs, in milliseconds. */
const LOOK_TIME = 2_000

/**
 * The one door through which money is spent: makes sure that the cutouts of a source exist. Looks before it pays, and believes
 * only what it finds afterwards.
 * @throws MattingError too-large, timeout (nothing paid), or what became of the paid call.
 */
export async function ensure(payer: Payer, source: Source, layouts: readonly Layout[]): Promise<Cutout[]> {
  const wanted = [...new Map(layouts.map((layout) => [layoutName(layout), layout]))].map(([name, layout]) => ({
    name,
    rule: rule(layout),
    key: cutoutKey(payer.cutoutPrefix, source, layout),
  }))
  const missing = await absent(payer.cos, wanted)
  if (missing.length > 0 && source.size > payer.maxSourceBytes) throw new MattingError('too-large')
  for (let i = 0; i < missing.length; i += MAX_RULES) await buy(payer, source, missing.slice(i, i + MAX_RULES))
  return wanted.map(({ name, key }) => ({ layout: name, key, paid: missing.some((cutout) => cutout.key === key) }))
}

async function buy({ cos, now, deadline }: Payer, source: Source, wanted: readonly { key: string; rule: string }[]) {
  const time = deadline - now() - LOOK_TIME
  if (time < LEAST_TIME) throw new MattingError('timeout')
  const rules = wanted.map(({ key, rule }) => ({ fileid: `/${key}`, rule }))
  let trouble: unknown
  try {
    await cos.process(source.key, rules, time)
  } catch (error) {
    // Not known is not failed: what was bought may lie there.
    if (!(error instanceof MattingError && error.code === 'unknown-outcome')) throw error
    trouble = error
  }
  // The answer's XML is no proof: fields of it may be missing, and 200 may hold fewer results than rules.
  const missing = await absent(cos, wanted)
  if (missing.length > 0) throw new MattingError('unknown-outcome', undefined, { cause: trouble })
}

async function absent<T extends { key: string }>(cos: Cos, wanted: readonly T[]): Promise<T[]> {
  const found = await Promise.all(wanted.map(({ key }) => cos.head(key)))
  return wanted.filter((_, i) => found[i] === undefined)
}
