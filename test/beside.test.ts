import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { besideCutout, cutoutFolder, cutoutKey, frameKey, isCutout, olderKeys, versionIn } from '../lib/cutout.ts'
import { plain } from '../lib/layout.ts'
import { refuseKey } from '../lib/source.ts'
import { photo, startForTest } from './helpers/cloud.ts'

const etag = '0123456789abcdef0123456789abcdef'
const layout = fc.record({ center: fc.boolean(), dx: fc.nat(1000), dy: fc.nat(1000) })
const name = fc
  .tuple(fc.stringMatching(/^[a-z0-9-]{1,80}$/), fc.constantFrom('png', 'webp', 'jpg', 'avif'))
  .map((parts) => parts.join('.'))

describe('what belongs to a cutout', () => {
  it('lies in a folder of its name, is known as of its version, is no source, and has a key that is not too long', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 900 }), fc.nat(900), layout, name, (key, more, layout, name) => {
        const source = { key: key + 'k'.repeat(more), etag }
        const folder = cutoutFolder('cutouts/', source.key)
        for (const cutout of [cutoutKey('cutouts/', source, layout), ...olderKeys('cutouts/', source, layout)]) {
          const beside = besideCutout(cutout, name)
          expect(beside.startsWith(`${cutout.slice(0, -'.png'.length)}/`)).toBe(true)
          expect(Math.max(beside.length, frameKey(cutout).length)).toBeLessThanOrEqual(850)
          expect(refuseKey(beside, ['cutouts/'])).toBe('a cutout')
          if (!cutout.startsWith(folder)) continue
          expect(versionIn(cutout.slice(folder.length))).toMatch(/^[\da-f]{16,32}$/)
          expect(versionIn(beside.slice(folder.length))).toBe(versionIn(cutout.slice(folder.length)))
        }
      }),
    )
  })

  it('is readable wherever there is room, and otherwise differs with the name', () => {
    const cutout = (length: number) => `${'k'.repeat(length - 43)}/${etag}-plain.png`
    expect(besideCutout(cutout(300), 'card.webp')).toBe(cutout(300).replace('.png', '/card.webp'))
    expect(besideCutout(cutout(820), 'ground-f2ece4.png')).toBe(cutout(820).replace('.png', '/ground-f2ece4.png'))
    const long = ['a', 'b'].map((letter) => besideCutout(cutout(820), `${letter.repeat(80)}.webp`))
    expect(long.map((key) => [key.length, key.endsWith('.webp'), isCutout(key)])).toEqual([
      [850, true, true],
      [850, true, true],
    ])
    expect(long[0]).not.toBe(long[1])
  })

  it.each([
    ['no name', `${etag}-plain/.png`],
    ['another ending', `${etag}-plain/card.gif`],
    ['other letters', `${etag}-plain/Card.webp`],
    ['a folder more', `${etag}-plain/a/card.webp`],
    ['too long a name', `${etag}-plain/${'a'.repeat(81)}.png`],
    ['something behind it', `${etag}-plain/card.webp.jpg`],
    ['no cutout before it', 'mug/card.webp'],
  ])('does not have %s', (_, name) => {
    expect(isCutout(`cutouts/a.jpg/${name}`)).toBe(false)
    expect(versionIn(name)).toBeUndefined()
  })

  it('attack: a photo that is called like the cutout of another has its cutouts for itself', () => {
    const source = { key: `a.jpg/${etag}-plain`, etag }
    for (const cutout of [cutoutKey('cutouts/', source, plain), ...olderKeys('cutouts/', source, plain)]) {
      expect(isCutout(cutout)).toBe(true)
      for (const key of [cutout, besideCutout(cutout, 'card.webp')])
        expect(versionIn(key.slice('cutouts/a.jpg/'.length))).toBeUndefined()
    }
  })

  it('goes with it where ON_DELETE removes; what belongs to others stays, and what somebody put there by hand', async () => {
    const cloud = await startForTest({ environment: { ON_DELETE: 'remove' } })
    const all = async (key: string) => {
      await cloud.upload(key, await photo())
      const { etag = '' } = (await cloud.bucket.head(key)) ?? {}
      const cutout = cutoutKey('cutouts/', { key, etag }, plain)
      const others = ['card.webp', 'ground-ffffff.png'].map((name) => besideCutout(cutout, name))
      for (const key of [...others, frameKey(cutout)]) await cloud.bucket.put(key, 'a view', { type: 'image/webp' })
      return [cutout, ...others, frameKey(cutout)]
    }
    const [cutout = ''] = await all('uploads/a.jpg')
    const byHand = besideCutout(cutout, 'layers.psd')
    await cloud.bucket.put(byHand, 'by hand', { type: 'image/x-psd' })
    const mark = `.matting/failed/cutouts/uploads/a.jpg/b.jpg/${etag}.refused.json`
    await cloud.bucket.put(mark, '{}', { type: 'application/json' })
    const stays = [byHand, mark]
    for (const key of ['uploads/a.jpg/b.jpg', `uploads/a.jpg/${etag}-plain`]) stays.push(...(await all(key)))
    await cloud.bucket.delete('uploads/a.jpg')
    await cloud.scf.idle()
    expect(cloud.scf.invocations().at(-1)?.logs.join()).toContain('"outcome":"removed","cutouts":1')
    const left = ['cutouts/', '.matting/frames/', '.matting/failed/'].map((folder) => cloud.keys(folder))
    expect((await Promise.all(left)).flat().sort()).toEqual(stays.sort())
  })
})
