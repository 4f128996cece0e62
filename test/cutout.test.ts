import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  besideCutout,
  cutoutFolder,
  cutoutFolderOf,
  cutoutFolders,
  cutoutKey,
  isCutout,
  isVersionOf,
  olderKeys,
  sourceKey,
  splitCutout,
  versionIn,
} from '../lib/cutout.ts'
import { layoutName, plain } from '../lib/layout.ts'

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
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
/** MD5, MD5 of parts, SHA-1, SHA-256, and what nobody has seen yet. */
const anyEtag = fc.oneof(
  hex(32),
  fc.tuple(hex(32), fc.integer({ min: 1, max: 10_000 })).map(([md5, parts]) => `${md5}-${parts}`),
  hex(40),
  hex(64),
  fc.string({ minLength: 16, maxLength: 80 }),
)
const source = fc.record({ key, etag: anyEtag })

describe('cutoutKey', () => {
  it.each([
    ['uploads/mug.jpg', 'cutouts/uploads/mug.jpg/0123456789abcdef0123456789abcdef-plain.png'],
    [
      'uploads/shoe 01(红).jpg',
      'cutouts/uploads/shoe_2001_28_E7_BA_A2_29.jpg/0123456789abcdef0123456789abcdef-plain.png',
    ],
    ['a/../b.jpg', 'cutouts/a/_2E_2E/b.jpg/0123456789abcdef0123456789abcdef-plain.png'],
    ['a//b_c.jpg', 'cutouts/a/_2Fb_5Fc.jpg/0123456789abcdef0123456789abcdef-plain.png'],
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
        for (const older of olderKeys('cutouts/', long, layout)) {
          expect(older.length).toBeLessThanOrEqual(820)
          expect(cutoutFolders('cutouts/', long.key).some((folder) => older.startsWith(folder))).toBe(true)
        }
      }),
    )
  })

  it('is reversible, but for the longest', () => {
    fc.assert(
      fc.property(source, layout, (source, layout) => {
        fc.pre(Buffer.byteLength(source.key) <= 200)
        for (const cutout of [cutoutKey('cutouts/', source, layout), ...olderKeys('cutouts/', source, layout)]) {
          for (const key of [cutout, besideCutout(cutout, 'card-w160.webp')]) {
            // Older keys may hold an ETag that is none.
            const { folder = '', version = '', isWhole } = splitCutout(key) ?? {}
            if (!isCutout(key)) continue
            expect([sourceKey('cutouts/', folder), isVersionOf(version, source.etag)]).toEqual([source.key, true])
            expect([isVersionOf(version, `0${source.etag}`), isWhole]).toEqual([false, key === cutout])
          }
        }
      }),
    )
  })

  it('reads no other folder back', () => {
    fc.assert(
      fc.property(key, (text) => {
        const source = sourceKey('cutouts/', text.endsWith('/') ? text : `${text}/`)
        expect(source).toBeUndefined()
        const spelt = sourceKey('cutouts/', `cutouts/${text}/`)
        // One folder for each photo: what is spelt in another way is nobody's.
        if (spelt !== undefined) expect(cutoutFolder('cutouts/', spelt)).toBe(`cutouts/${text}/`)
      }),
    )
    for (const folder of [
      'cutouts/',
      'cutouts',
      '',
      `cutouts/_long/${'0'.repeat(64)}/`,
      'cutouts/_41/',
      'cutouts/a%41/',
      'cutouts/_FF/',
      'other/a/',
    ])
      expect(sourceKey('cutouts/', folder)).toBeUndefined()
  })

  it('lies under the folder of its photo’s folder, and of no other', () => {
    fc.assert(
      fc.property(key, key, (folder, name) => {
        fc.pre(Buffer.byteLength(folder + name) <= 200)
        expect(cutoutFolder('cutouts/', `${folder}/${name}`).startsWith(cutoutFolderOf('cutouts/', `${folder}/`))).toBe(
          true,
        )
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

  it('tells version and layout apart, though both may hold a `-` and digits', () => {
    fc.assert(
      fc.property(anyEtag, anyEtag, layout, (a, b, layout) => {
        const name = (etag: string) => cutoutKey('', { key: 'a', etag }, layout).replace('a/', '')
        expect(name(a)).toBe(`${versionIn(name(a))}-${layoutName(layout)}.png`)
        expect(versionIn(name(a)) === versionIn(name(b))).toBe(a === b)
        if (/^[\da-f]{32}/.test(a)) expect(versionIn(name(a))).toBe(a)
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
  it.each([
    'uploads/mug.jpg',
    'uploads/a-plain.png',
    'cutouts/readme.png',
    `${etag}-plain.png`,
    `a/${etag}-12-13-c1.png`,
  ])('leaves %s alone', (key) => {
    expect(isCutout(key)).toBe(false)
  })

  it.each(['0123456789abcdef', etag, `${etag}-12`, `${etag}01234567`, etag + etag])(
    'knows one of version %s, wherever it lies',
    (version) => {
      expect(isCutout(`a/${version}-c1-p20x10.png`)).toBe(true)
    },
  )
})

describe('olderKeys', () => {
  it.each([
    ['uploads/a_b.jpg', etag, 'cutouts/uploads/a_5Fb.jpg/0123456789abcdef-plain.png'],
    ['uploads/a.jpg', `${etag}-12`, 'cutouts/uploads/a.jpg/0123456789abcdef-plain.png'],
    // Too long for the whole ETag, but not for sixteen digits.
    [`uploads/${'k'.repeat(760)}`, etag, `cutouts/uploads/${'k'.repeat(760)}/0123456789abcdef-plain.png`],
  ])('of %s, version %s, are %s', (key, etag, cutout) => {
    expect(olderKeys('cutouts/', { key, etag }, plain)).toEqual([cutout])
  })
})
