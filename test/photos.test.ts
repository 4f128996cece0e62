import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findPhotos } from '../cli/photos.ts'
import { callsOf, startTestCloud, type TestCloud } from './helpers/cloud.ts'

const PREFIXES = ['uploads/', 'uploads/b/', 'more/']
/** Neighbours, in an order that is neither that of JavaScript's strings nor that of the folders of cutouts. */
const KEYS = ['a', 'a b', 'a/b', 'aa', 'b/', 'b/a', 'b/😀', 'b/\uffee', 'Z', '_', '红', 'k'.repeat(800)].flatMap(
  (name) => [`uploads/${name}`, `more/${name}`],
)

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
  cloud.faults.set([{ on: 'Event', kind: 'drop' }])
})
afterAll(() => cloud.close())

it('finds the photos that are there, whatever is between them, and never asks more than twice for each', async () => {
  const there = new Set<string>()
  const set = (keys: readonly string[]) => fc.subarray(keys as string[])
  await fc.assert(
    fc.asyncProperty(set(KEYS), set(KEYS), fc.integer({ min: 1, max: 5 }), async (stored, asked, page) => {
      for (const key of there) if (!stored.includes(key)) await cloud.bucket.delete(key)
      for (const key of stored) if (!there.has(key)) await cloud.bucket.put(key, key, { type: 'image/jpeg' })
      there.clear()
      for (const key of stored) there.add(key)
      const { result, made } = await callsOf(cloud, () => findPhotos(cloud.bucket, PREFIXES, asked, page))
      expect([...result.keys()].sort()).toEqual(asked.filter((key) => there.has(key)).sort())
      expect(made.length).toBeLessThanOrEqual(2 * asked.length)
      for (const [key, { etag, modified }] of result) {
        const head = await cloud.bucket.head(key)
        // HEAD tells whole seconds, a LIST perhaps more.
        expect([etag, Math.floor(modified / 1_000)]).toEqual([head?.etag, (head?.modified ?? 0) / 1_000])
      }
    }),
    { numRuns: 25 },
  )
})

it('asks once for all photos that lie together', async () => {
  for (const key of KEYS) await cloud.bucket.put(key, key, { type: 'image/jpeg' })
  const { result, made } = await callsOf(cloud, () => findPhotos(cloud.bucket, PREFIXES, KEYS))
  expect([result.size, made.length]).toEqual([KEYS.length, 2])
})

it('of a bucket that is not there nothing is said', async () => {
  cloud.faults.set([{ on: 'GetBucket', kind: 'error', code: 'NoSuchBucket' }])
  await expect(findPhotos(cloud.bucket, PREFIXES, KEYS)).rejects.toThrow('There is no such bucket.')
})
