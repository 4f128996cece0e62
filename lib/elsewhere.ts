import { createHash } from 'node:crypto'

/**
 * What a picture elsewhere is called in keys and records, and so in the URLs of its cutouts: its URL, but a hash in the place of
 * its query, which may hold a token.
 */
export function elsewhereName({ origin, pathname, search }: URL): string {
  const query = search && `?${createHash('sha256').update(search).digest('hex').slice(0, 32)}`
  return origin + pathname + query
}
