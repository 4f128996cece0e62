import { describe, expect, it } from 'vitest'
import { refuseHead } from '../lib/cut.ts'
import { refuseListed } from '../lib/source.ts'
import { photo } from './helpers/cos.ts'
import { cutOut, startStill } from './helpers/still.ts'

describe('a list alone', () => {
  it('refuses what is never paid for, and nothing that is cut out by its type or its metadata', async () => {
    const body = await photo()
    const cos = await startStill()
    const large = Buffer.concat([body, Buffer.alloc(1)])
    const put: [key: string, body: Buffer, type: string, why: string | undefined, becomes: unknown][] = [
      ['uploads/a.jpg', body, 'image/jpeg', undefined, 'made'],
      ['uploads/a.txt', body, 'image/png', undefined, 'made'],
      ['uploads/b.jpg', body, 'text/plain', undefined, 'not an image by its type and name'],
      ['uploads/c.jpg', Buffer.alloc(0), 'image/jpeg', 'empty', 'empty'],
      ['uploads/d/', body, 'image/jpeg', 'empty', 'empty'],
      ['uploads/e.jpg', large, 'image/jpeg', 'too-large', 'too-large'],
      ['other/a.jpg', body, 'image/jpeg', 'not in a source folder', undefined],
    ]
    for (const [key, bytes, type] of put) await cos.bucket.put(key, bytes, { type })
    const parts = cos.parts({ SOURCE_PREFIXES: 'uploads/', MAX_SOURCE_BYTES: String(body.length) })
    const told = new Map<string, string | undefined>()
    for await (const listed of cos.bucket.list('')) told.set(listed.key, refuseListed(listed, parts.config))
    expect(told).toEqual(new Map(put.map(([key, , , why]) => [key, why])))
    for (const [key, , , , becomes] of put) {
      const head = await cos.bucket.head(key)
      if (!head || becomes === undefined) continue
      expect(refuseHead(key, head, parts.config) ?? (await cutOut(parts, { ...head, key }))).toBe(becomes)
    }
    expect(cos.bill().map(({ source }) => source)).toEqual(['uploads/a.jpg', 'uploads/a.txt'])
    expect(refuseListed({ key: `uploads/${'x'.repeat(850)}.jpg`, size: 1 }, parts.config)).toBe('too long a key')
  })
})
