import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { imageUrl } from '../lib/access.ts'
import { cutoutKey, RECORDS } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import { tryKey } from '../lib/source.ts'
import { type Account, ask, type BucketCall, get, objects, text, until } from './api.ts'
import { ROOT } from './operator.ts'
import type { Stage } from './stage.ts'
import { findUrl } from './url.ts'

/**
 * Puts a sample photo, waits for its cutouts, and asks for one by URL. Removes what it made but the receipts, which tell what was
 * paid. @returns what it saw, and how many calls were paid
 */
export async function smoke(account: Account, { config, ...stage }: Stage): Promise<string> {
  const { bucket, cutoutBucket, cutoutPrefix, sourcePrefixes, onUpload, delivery } = config
  const [folder = ''] = sourcePrefixes
  const key = tryKey(folder, randomUUID())
  const at = (name: string, key: string, method: BucketCall['method']) =>
    ({ bucket: name, door: 'cos', method, key }) satisfies BucketCall
  const photo = await readFile(new URL('cli/sample.jpg', ROOT))
  const put = await ask(account, { ...at(bucket, key, 'PUT'), body: photo, type: 'image/jpeg' })
  const source = { key, etag: text(put.headers.etag).replaceAll('"', '') }
  const layouts = onUpload.find(([prefix]) => key.startsWith(prefix))?.[1] ?? []
  const cutouts = layouts.map((layout) => cutoutKey(cutoutPrefix, source, layout))
  const byUrl = cutoutKey(cutoutPrefix, source, plain)
  try {
    for (const cutout of cutouts)
      await until(account, `the cutout ${cutout}; the upload function's log tells more`, async () => {
        const { status } = await ask(account, at(cutoutBucket, cutout, 'GET'), [200, 404])
        return status === 200 ? true : undefined
      })
    const origin = await findUrl(account, { ...stage, config })
    if (!origin) return `${cutouts.length} cutouts by upload; there is no function URL to ask; paid: ${cutouts.length}`
    const { status, headers, body } = await get(addressOf(origin, config, key, account.now()))
    const location = text(headers.location)
    if (status !== 302 || location === '')
      throw new MattingError('denied', `The image function answered ${status}: ${body.subarray(0, 500)}`)
    // Fetching a URL of `direct` is a paid call.
    if (delivery === 'stored') await checkPicture(location)
    const paid = cutouts.length + (headers['x-matting'] === 'made' || delivery === 'direct' ? 1 : 0)
    return `${cutouts.length} by upload, one by URL; paid calls: ${paid}`
  } finally {
    await ask(account, at(bucket, key, 'DELETE'), [200, 204, 404])
    for (const cutout of new Set([...cutouts, byUrl])) {
      await ask(account, at(cutoutBucket, cutout, 'DELETE'), [200, 204, 404])
      for await (const claim of objects(account, cutoutBucket, `${RECORDS}claims/${cutout}/`))
        await ask(account, at(cutoutBucket, claim.key, 'DELETE'), [200, 204, 404])
    }
  }
}

/** The image URL of a photo. */
export function addressOf(origin: string, { access, urlKeys }: Stage['config'], key: string, now: number): string {
  const [[id, secret] = []] = [...urlKeys]
  const expires = Math.floor(now / 1000) + 600
  return access === 'signed' && id && secret
    ? imageUrl(origin, { layout: 'plain', key, expires }, id, secret)
    : `${origin}/plain/${key}`
}

async function checkPicture(location: string): Promise<void> {
  const { status, headers } = await get(location)
  const type = headers['content-type']
  if (status !== 200 || type !== 'image/png')
    throw new MattingError('denied', `${new URL(location).origin} answered ${status} ${type} for the cutout.`)
}
