import { text } from 'node:stream/consumers'
import { type Cos as Client, createCos } from '../lib/cos.ts'
import type { Cos, Stored } from './cos/cos.ts'

/**
 * A client of a bucket that reads what is stored there, without a request that anybody would see or that a fault could strike,
 * and writes nothing.
 */
export function createReading({ objects }: Cos, bucket: string, now: () => number): Client {
  // Dates of HTTP have whole seconds.
  const date = ({ modified }: Stored) => modified - (modified % 1_000)
  const credentials = { secretId: '', secretKey: '' }
  const nowhere = createCos({ endpoint: 'http://nowhere.invalid', credentials, deadline: 0, now, random: Math.random })
  async function* pieces(stored: Stored): AsyncGenerator<Buffer> {
    yield* objects.stream(stored)
  }
  return {
    ...nowhere,
    clock: now,
    async head(key) {
      const stored = objects.get(bucket, key)
      if (!stored) return undefined
      const { 'Content-Type': type = '', 'x-cos-meta-matting': matting } = stored.headers
      const { etag, size } = stored
      return { etag, size, modified: date(stored), type, ...(matting !== undefined && { matting }) }
    },
    async get(key) {
      const stored = objects.get(bucket, key)
      return stored && { body: await text(objects.stream(stored)), written: date(stored), read: now() }
    },
    async pieces(key) {
      const stored = objects.get(bucket, key)
      return stored && { size: stored.size, modified: date(stored), pieces: pieces(stored) }
    },
    async *list(prefix, after = '') {
      for (const stored of objects.from(bucket, prefix)) {
        const { key, size, etag } = stored
        if (!key.startsWith(prefix)) return
        if (after === '' || Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0)
          yield { key, size, etag, written: date(stored) }
      }
    },
    put: async () => true,
    delete: async () => {},
    render: async () => {},
  }
}
