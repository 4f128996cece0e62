import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Objects } from '../local/cos/objects.ts'
import { listPage } from '../local/cos/read.ts'

describe('a local bucket', () => {
  const objects = () => {
    const dir = mkdtempSync(join(tmpdir(), 'objects-'))
    onTestFinished(() => rmSync(dir, { recursive: true }))
    return new Objects(dir)
  }
  async function put(bucket: Objects, key: string) {
    const draft = await bucket.receive(Readable.from([Buffer.from(key)]), 1_000)
    return bucket.publish(draft, { bucket: 'photos-1', key, etag: draft.md5, modified: 0, headers: {} })
  }
  const letters = fc.constantFrom('a', 'b', '/', '-', '_', 'é', '中', '\uE000', '\uFFFD', '😀', '𐀀')
  const keys = fc.string({ unit: letters, minLength: 1, maxLength: 4 })

  it('is listed in the order of the bytes of UTF-8, whatever is put and deleted between the lists', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('put', 'remove', 'list'), keys), { maxLength: 40 }),
        keys,
        async (steps, marker) => {
          const bucket = objects()
          const there = new Map<string, string>()
          for (const [step, key] of [...steps, ['list', ''] as const]) {
            if (step === 'put') there.set(key, (await put(bucket, key)).file)
            if (step === 'remove') expect(bucket.remove('photos-1', key)).toBe(there.delete(key))
            if (step !== 'list') continue
            const sorted = [...there].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
            const listed = [...bucket.from('photos-1', '')].map(({ key, file }) => [key, file])
            expect(listed).toEqual(sorted)
            const behind = [...bucket.from('photos-1', marker)].map(({ key }) => key)
            expect(behind).toEqual(
              sorted.flatMap(([key]) => (Buffer.compare(Buffer.from(key), Buffer.from(marker)) >= 0 ? [key] : [])),
            )
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is read from the marker to the end of the prefix, and no further', async () => {
    const bucket = objects()
    for (const key of ['a/1', 'b/1', 'b/2', 'b/3', 'c/1']) await put(bucket, key)
    const read: string[] = []
    const page = (prefix: string, marker: string, max: number) => {
      read.length = 0
      const found = bucket.from('photos-1', marker > prefix ? marker : prefix)
      const counted = (function* () {
        for (const stored of found) {
          read.push(stored.key)
          yield stored
        }
      })()
      const { items, next } = listPage(counted, ({ key }) => key, { prefix, delimiter: '', marker, max })
      return [items.map(({ key }) => key), next]
    }
    expect(page('b/', 'b/1', 10)).toEqual([['b/2', 'b/3'], undefined])
    expect(read).toEqual(['b/1', 'b/2', 'b/3', 'c/1'])
    expect(page('b/', '', 1)).toEqual([['b/1'], 'b/1'])
    expect(read).toEqual(['b/1', 'b/2'])
  })
})
