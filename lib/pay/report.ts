import { cutoutFolder, etagPart, versionIn } from '../cutout.ts'
import { MattingError } from '../errors.ts'
import type { Invocation } from '../invocation.ts'
import type { Layout } from '../layout.ts'
import { type Attempt, claimKey, listClaims, look, readAttempt } from './claim.ts'
import { checkPayable } from './hold.ts'
import { take } from './limit.ts'
import { type Receipt, receiptsOf } from './receipt.ts'
import { type Found, find, type Source, type Wanted, wantedCutouts } from './work.ts'

/** What is known of the cutouts of a photo, and of what was tried and paid for them. */
export interface Report {
  found: Found[]
  missing: Wanted[]
  /** Why nothing would be paid for what is missing. */
  refusal?: MattingError
  /** The latest attempts, also at cutouts of former versions; the oldest first. */
  attempts: (Attempt & { cutout: string; number: number; current: boolean })[]
  /** The paid calls that these attempts made. */
  receipts: Receipt[]
}

/** More attempts are not read. */
const MAX_ATTEMPTS = 50
/** A receipt is written soon after its claim; in milliseconds. */
const SOON = 60_000

/**
 * Looks at what `ensure` would look at, and pays nothing. Claims are deleted after a day (docs/deploy.md), so older attempts are
 * not known. @throws MattingError unavailable, denied
 */
export async function report(invocation: Invocation, source: Source, layouts: readonly Layout[]): Promise<Report> {
  const { config, store } = invocation
  const { found, missing } = await find(store, wantedCutouts(invocation, source, layouts))
  const folder = cutoutFolder(config.cutoutPrefix, source.key)
  const claims: { cutout: string; attempt: number; written: number }[] = []
  for await (const one of listClaims(store, folder)) if (versionIn(one.cutout.slice(folder.length))) claims.push(one)
  claims.sort((a, b) => a.written - b.written)
  const attempts: Report['attempts'] = []
  for (const { cutout, attempt: number } of claims.slice(-MAX_ATTEMPTS)) {
    const attempt = await readAttempt(store, claimKey(cutout, number), config.claimTime)
    const current = versionIn(cutout.slice(folder.length)) === etagPart(source.etag)
    if (attempt) attempts.push({ ...attempt, cutout, number, current })
  }
  const receipts = new Map<string, Receipt>()
  for (const { written, until } of attempts)
    for (const receipt of await receiptsOf(store, source.key, written - SOON, until + SOON))
      receipts.set(receipt.id, receipt)
  const refusal = await refuse(invocation, source, found, missing)
  return { found, missing, attempts, receipts: [...receipts.values()], ...(refusal && { refusal }) }
}

/** Why `ensure` would pay nothing. */
async function refuse(
  invocation: Invocation,
  source: Source,
  found: readonly Found[],
  missing: readonly Wanted[],
): Promise<MattingError | undefined> {
  const { store, config } = invocation
  try {
    if (found.some(({ blank }) => blank)) throw new MattingError('no-product')
    if (missing.length === 0) return undefined
    const attempts = await checkPayable(invocation, source, missing)
    for (const [cutout, attempt] of attempts)
      await look(store, claimKey(cutout, attempt), { id: '', seconds: config.claimTime })
    await take(invocation, missing.length)
    return undefined
  } catch (error) {
    // It says what is so of the photo, the layout, the limit or the account; a storage that does not answer says nothing.
    if (error instanceof MattingError && error.code !== 'unavailable') return error
    throw error
  }
}
