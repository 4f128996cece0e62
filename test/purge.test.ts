import { hash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { besideCutout, cutoutFolder, cutoutKey, frameKey } from '../lib/cutout.ts'
import { plain } from '../lib/layout.ts'
import { held, photo } from './helpers/cloud.ts'
import { type Commanded, startCommanded } from './helpers/command.ts'

const A = Buffer.from('photo a')
const OTHER = 'b'.repeat(32)
const etag = hash('md5', A)

let on: Commanded
beforeAll(async () => {
  on = await startCommanded()
})
afterAll(() => on.cloud.close())
beforeEach(async () => {
  await on.cloud.reset()
  on.cloud.faults.set([{ on: 'Event', kind: 'drop' }])
})

const store = (key: string, body: Buffer | string = 'x') => on.cloud.bucket.put(key, body, { type: 'image/jpeg' })
const left = () => on.cloud.keys('')
const purge = (...words: string[]) => on.command('purge', '--yes', ...words)

/** Stores a photo and all that may be made of it; `stays` is what no purge takes. */
async function make(key: string) {
  const cutouts = [etag, OTHER].flatMap((etag) =>
    [0, 20].map((dx) => cutoutKey('cutouts/', { key, etag }, { ...plain, dx })),
  )
  const [first = ''] = cutouts
  const made = [
    ...cutouts,
    besideCutout(first, 'card-w160.webp'),
    besideCutout(first, 'ground-ffffff.png'),
    frameKey(first),
    `.matting/failed/${cutoutFolder('cutouts/', key)}${OTHER}.no-product.json`,
  ]
  if (!key.endsWith('long')) made.push(`.matting/gone/${cutoutFolder('cutouts/', key).slice(0, -1)}.json`)
  const stays = [key, `.matting/claims/${first}/0`]
  await store(key, A)
  for (const one of [...made, ...stays.slice(1)]) await store(one)
  return { made, stays }
}

const KEYS = [
  'uploads/shoes',
  'uploads/shoes/a.jpg',
  'uploads/shoes/a.jpg/b.jpg',
  'uploads/shoes/红 😀%.jpg',
  'uploads/shoes//../c.jpg',
  `uploads/shoes/${etag}-plain.png/d.jpg`,
  `uploads/shoes/${'k'.repeat(760)} long`,
  'uploads/shoes2/a.jpg',
  'uploads/hats/a.jpg',
]

describe('purge', () => {
  const run = async (target: string) => {
    const all = new Map<string, Awaited<ReturnType<typeof make>>>()
    for (const key of KEYS) all.set(key, await make(key))
    await store('cutouts/uploads/shoes/a.jpg/readme.txt')
    const gone = target.endsWith('/') ? KEYS.filter((key) => key.startsWith(target)) : [target]
    const { code, printed } = await purge(target)
    const keep = [...all].flatMap(([key, { made, stays }]) => (gone.includes(key) ? stays : [...made, ...stays]))
    expect(await left()).toEqual([...keep, 'cutouts/uploads/shoes/a.jpg/readme.txt'].sort())
    expect(code).toBe(0)
    return { printed, gone }
  }

  it.each(KEYS)('takes away all that was made of %s, and nothing of another', async (key) => {
    const { printed } = await run(key)
    expect(printed[0]).toContain(
      // Two of four cutouts are of the photo that is there. A frame and the note are not counted.
      `${key}: 7 objects, 7 B, among them 4 cutouts. To make them again takes 2 paid calls.`,
    )
    expect(printed.at(-1)).toBe('Deleted 4 cutouts with all that belongs to them.')
  })

  it.each(['uploads/shoes/', 'uploads/', 'uploads/shoes//'])(
    'takes away all that was made of photos in %s',
    async (target) => {
      const { printed, gone } = await run(target)
      const n = gone.length
      expect(printed[0]).toContain(`${7 * n} objects, ${7 * n} B, among them ${4 * n} cutouts.`)
      expect(printed[0]).toContain(`takes ${2 * n} paid calls`)
      expect(printed.at(-1)).toBe(`Deleted ${4 * n} cutouts with all that belongs to them.`)
    },
  )

  it.each([
    ['uploads', 'not in a source folder'],
    ['upl/', 'not in a source folder'],
    ['/', 'not in a source folder'],
    ['cutouts/', 'not in a source folder'],
    ['.matting/', 'not in a source folder'],
    ['other/a.jpg', 'not in a source folder'],
    [`uploads/a/${etag}-plain.png`, 'a cutout'],
  ])('refuses %s: %s', async (target, why) => {
    await make('uploads/hats/a.jpg')
    const before = await left()
    const { code, printed } = await purge(target)
    expect([code, printed]).toEqual([2, [`${target}: ${why}. Source folders: uploads/`]])
    expect(await left()).toEqual(before)
  })

  it('without a terminal needs --yes, and of what is not there takes nothing', async () => {
    await make('uploads/hats/a.jpg')
    const before = await left()
    const { code, printed } = await on.command('purge', 'uploads/hats/')
    expect([code, printed.at(-1)]).toEqual([2, 'Nothing was done. Without a terminal, purge needs --yes.'])
    expect((await purge('uploads/hats/no.jpg')).printed).toEqual([
      'Nothing is stored that was made of uploads/hats/no.jpg. If it is a folder, end it in /',
    ])
    expect((await purge('uploads/no/')).printed).toEqual(['Nothing is stored that was made of uploads/no/'])
    expect(JSON.parse((await purge('uploads/no/', '--json')).printed.join(''))).toEqual({ cutouts: 0 })
    expect(await left()).toEqual(before)
    on.cloud.faults.set([{ on: 'GetBucket', kind: 'error', code: 'NoSuchBucket' }])
    expect((await purge('uploads/hats/')).code).toBe(1)
    on.cloud.faults.set([{ on: 'DeleteObject', kind: 'error', code: 'AccessDenied' }])
    expect((await purge('uploads/hats/')).code).toBe(1)
    on.cloud.faults.set([])
    expect(await left()).toEqual(before)
  })

  it('stops at Ctrl-C, and goes on when it is run again', async () => {
    for (let i = 0; i < 12; i++) await make(`uploads/hats/${i}.jpg`)
    on.cloud.faults.set([{ on: 'DeleteObject', kind: 'hold', times: 4 }])
    const running = purge('uploads/hats/')
    await held(on.cloud, 4)
    process.emit('SIGINT')
    on.cloud.faults.set([])
    expect((await running).code).toBe(130)
    expect((await on.cloud.keys('cutouts/')).length).toBeGreaterThan(0)
    expect((await purge('uploads/hats/')).code).toBe(0)
    expect(await on.cloud.keys('cutouts/')).toEqual([])
  })

  it('then the cutout is made, and paid for, once more', async () => {
    on.cloud.faults.set([])
    await on.cloud.upload('uploads/mug.jpg', await photo())
    expect(on.cloud.cos.bill()).toHaveLength(1)
    on.cloud.clock.advance(10_000)
    expect(JSON.parse((await purge('uploads/mug.jpg', '--json')).printed.at(-1) ?? '')).toEqual({ cutouts: 1 })
    for (let i = 0; i < 2; i++) expect((await on.cloud.image('/plain/uploads/mug.jpg')).status).toBe(302)
    expect(on.cloud.cos.bill()).toHaveLength(2)
  })
})
