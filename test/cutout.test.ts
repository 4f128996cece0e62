import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutoutKey, isCutout } from '../lib/cutout.ts'
import { plain } from '../lib/layout.ts'

const etag = '0123456789abcdef0123456789abcdef'
const key = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...'aZ09/._- +%#?&\'"', '..', '//', '红', '😀', '_5F', '_long/'),
    fc.string({ unit: 'grapheme', minLength: 1 }),
  ),
  minLength: 1,
  maxLength: 60,
})
const layout = fc.record({ center: fc.boolean(), dx: fc.nat(1000), dy: fc.nat(1000) })
const source = fc.record({
  key,
  etag: fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 }),
})

describe('cutoutKey', () => {
  it.each([
    ['uploads/mug.jpg', 'cutouts/uploads/mug.jpg/0123456789abcdef-plain.png'],
    ['uploads/shoe 01(红).jpg', 'cutouts/uploads/shoe_2001_28_E7_BA_A2_29.jpg/0123456789abcdef-plain.png'],
    ['a/../b.jpg', 'cutouts/a/_2E_2E/b.jpg/0123456789abcdef-plain.png'],
    ['a//b_c.jpg', 'cutouts/a/_2Fb_5Fc.jpg/0123456789abcdef-plain.png'],
  ])('puts %s at %s', (source, cutout) => {
    expect(cutoutKey('cutouts/', { key: source, etag }, plain)).toBe(cutout)
  })

  it('is ASCII, at most 820 bytes, safe in any URL, and known as a cutout', () => {
    fc.assert(
      fc.property(source, layout, fc.nat(40), (source, layout, times) => {
        const long = { ...source, key: source.key.repeat(times + 1) }
        const cutout = cutoutKey('cutouts/', long, layout)
        expect(cutout).toMatch(/^cutouts\/[A-Za-z0-9._/-]+\.png$/)
        expect(cutout.length).toBeLessThanOrEqual(820)
        expect(new URL(`http://h/${cutout}`).pathname).toBe(`/${cutout}`)
        expect(cutout).not.toMatch(/\/\/|\/\.|\.\./)
        expect(isCutout(cutout)).toBe(true)
      }),
    )
  })

  it('is reversible, unless it is too long to be spelt', () => {
    fc.assert(
      fc.property(source, layout, (source, layout) => {
        fc.pre(Buffer.byteLength(source.key) <= 240)
        const folder = /^cutouts\/(.*)\/[^/]*$/.exec(cutoutKey('cutouts/', source, layout))?.[1] ?? ''
        expect(decodeURIComponent(folder.replaceAll('_', '%'))).toBe(source.key)
      }),
    )
  })

  it('differs whenever key, content or layout differ', () => {
    fc.assert(
      fc.property(source, layout, source, layout, fc.boolean(), (a, la, b, lb, long) => {
        const stretch = long ? 'x'.repeat(900) : ''
        const [one, other] = [
          cutoutKey('cutouts/', { ...a, key: stretch + a.key }, la),
          cutoutKey('cutouts/', { ...b, key: stretch + b.key }, lb),
        ]
        const same = JSON.stringify([a, la]) === JSON.stringify([b, lb])
        expect(one === other).toBe(same)
      }),
    )
  })

  it('keeps all cutouts of a photo under one prefix, also of a key too long to be spelt', () => {
    for (const name of ['uploads/mug.jpg', `uploads/${'红'.repeat(270)}.jpg`]) {
      const folder = (etag: string, dx: number) =>
        cutoutKey('cutouts/', { key: name, etag }, { ...plain, dx }).replace(/[^/]*$/, '')
      expect(folder('a'.repeat(32), 0)).toBe(folder('b'.repeat(32), 7))
    }
  })
})

describe('isCutout', () => {
  it.each(['uploads/mug.jpg', 'uploads/a-plain.png', 'cutouts/readme.png', '0123456789abcdef-plain.png'])(
    'leaves %s alone',
    (key) => {
      expect(isCutout(key)).toBe(false)
    },
  )
})
