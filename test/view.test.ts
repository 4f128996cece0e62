import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Frame,
  formatFor,
  operations,
  parseView,
  parseViews,
  printView,
  type View,
  viewName,
} from '../lib/view.ts'

const size = fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: undefined })
/** Words of a view that do not contradict each other, in any order. */
const words = fc
  .record({
    width: size,
    height: size,
    fit: fc.constantFrom(undefined, 'contain', 'cover'),
    trim: fc.constantFrom(undefined, 0, 1),
    margin: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }),
    background: fc.constantFrom(undefined, 'transparent', 'FFFFFF', '00ff7f'),
    format: fc.constantFrom(undefined, 'png', 'webp', 'jpg', 'auto', 'avif'),
    quality: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
  })
  .map((record) => {
    const said: Record<string, unknown> = { ...record }
    if (!record.width || !record.height) said.fit = undefined
    if (record.trim !== 1) said.margin = undefined
    if (record.format === 'jpg' && record.background === 'transparent') said.background = undefined
    if ((record.format ?? 'png') === 'png') said.quality = undefined
    return Object.entries(said).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
  })
  .chain((parts) => fc.shuffledSubarray(parts, { minLength: parts.length }))

describe('a view', () => {
  it('is read from its own text as the same, and has one spelling', () => {
    fc.assert(
      fc.property(words, (parts) => {
        const view = parseView(parts)
        const text = printView(view)
        const again = parseView(text === '' ? [] : text.split(','))
        expect(again).toEqual(view)
        expect(printView(again)).toBe(text)
        expect(viewName(view)).toMatch(/^[a-z\d-]{1,80}$/)
      }),
    )
  })

  it('has its own name, unless it differs in the format alone', () => {
    fc.assert(
      fc.property(words, words, (a, b) => {
        const [one, other] = [parseView(a), parseView(b)]
        const text = (view: View) => printView({ ...view, format: 'webp', background: view.background ?? undefined })
        expect(viewName(one) === viewName(other)).toBe(text(one) === text(other))
      }),
    )
  })

  it.each([
    ['width=0', 'width: expected 1 to 10000'],
    ['width=10001', 'width: expected 1 to 10000'],
    ['width=', 'width: expected 1 to 10000'],
    ['width=04', 'width: expected 1 to 10000'],
    ['width=4e2', 'width: expected 1 to 10000'],
    ['width=-4', 'width: expected 1 to 10000'],
    ['width=400px', 'width: expected 1 to 10000'],
    ['width=160|320', 'width: expected 1 to 10000'],
    ['width=٤٠٠', 'width: expected 1 to 10000'],
    ['height=1.5', 'height: expected 1 to 10000'],
    ['width=400,height=300,fit=fill', 'fit: expected contain or cover'],
    ['width=400,fit=cover', 'fit=cover needs width and height'],
    ['trim=yes', 'trim: expected 0 or 1'],
    ['trim=1,margin=101', 'margin: expected 0 to 100'],
    ['trim=1,margin=-1', 'margin: expected 0 to 100'],
    ['margin=5', 'margin needs trim=1'],
    ['background=fff', 'background: expected six hex digits, or transparent'],
    ['background=#ffffff', 'background: expected six hex digits, or transparent'],
    ['background=white', 'background: expected six hex digits, or transparent'],
    ['format=jpg,background=transparent', 'a jpg is never transparent'],
    ['format=jpeg', 'format: expected png, webp, jpg, auto or avif'],
    ['format=WEBP', 'format: expected png, webp, jpg, auto or avif'],
    ['format=gif', 'format: expected png, webp, jpg, auto or avif'],
    ['format=webp,quality=0', 'quality: expected 1 to 100'],
    ['format=webp,quality=101', 'quality: expected 1 to 100'],
    ['quality=80', 'a png has no quality'],
    ['width=400,width=400', 'width is given twice'],
    ['trim=1,trim=0', 'trim is given twice'],
    ['size=400', 'expected width=1 to 10000; height='],
  ])('refuses %s and says what is allowed', (text, why) => {
    const attempt = () => parseView(text.split(','))
    expect(attempt).toThrow(expect.objectContaining({ code: 'bad-view', status: 400 }))
    expect(attempt).toThrow(why)
  })

  it.each([
    ['format=jpg', 'format=jpg'],
    ['format=jpg,background=FFFFFF', 'format=jpg'],
    ['format=webp,background=ffffff', 'background=ffffff,format=webp'],
    ['quality=80,format=webp', 'format=webp'],
    ['margin=0,trim=0,fit=contain,format=png,background=transparent', ''],
    ['trim=1,margin=05', 'trim=1,margin=5'],
  ])('%s is spelt %s', (text, spelling) => {
    expect(printView(parseView(text.split(',')))).toBe(spelling)
  })

  it('is changed by further words', () => {
    const card = parseView(['width=400', 'height=300', 'format=webp', 'quality=60'])
    expect(printView(parseView(['height=400'], card))).toBe('width=400,height=400,format=webp,quality=60')
    expect(printView(parseView(['format=png'], card))).toBe('width=400,height=300')
    expect(printView(parseView(['format=jpg'], card))).toBe('width=400,height=300,format=jpg,quality=60')
  })

  it.each([
    ['width=160|320|640', ['width=160', 'width=320', 'width=640']],
    ['width=160|320,height=80|160,trim=1', ['width=160,height=80,trim=1', 'width=320,height=160,trim=1']],
    ['width=160|320,height=90', ['width=160,height=90', 'width=320,height=90']],
    ['', ['']],
  ])('of a preset stands for each width: %s', (text, views) => {
    expect(parseViews(text === '' ? [] : text.split(',')).map(printView)).toEqual(views)
  })

  it.each([
    'width=160|',
    'width=160|160',
    'width=160|320,height=90|180|270',
    'width=160|320|640,height=90|180',
    'height=90|180',
    'width=160|320,width=160|320',
    'quality=60|70,format=webp',
  ])('of a preset is refused: %s', (text) => {
    expect(() => parseViews(text.split(','))).toThrow(expect.objectContaining({ code: 'bad-view' }))
  })
})

const car: Frame = { x: 161, y: 500, width: 878, height: 180, of: [1200, 1200] }
const corner: Frame = { x: 10, y: 20, width: 100, height: 100, of: [400, 300] }
const full: Frame = { x: 0, y: 0, width: 400, height: 300, of: [400, 300] }

describe('the vendor’s processing', () => {
  it.each([
    ['', undefined, ''],
    ['width=400', undefined, 'imageMogr2/thumbnail/400x'],
    ['height=300', undefined, 'imageMogr2/thumbnail/x300'],
    ['width=400,height=300', undefined, 'imageMogr2/thumbnail/400x300'],
    // The text of the signature vector in test/fixtures/q-sign.json.
    ['width=400,format=webp', undefined, 'imageMogr2/thumbnail/400x/format/webp/quality/80'],
    ['format=webp', undefined, 'imageMogr2/format/webp/quality/80'],
    [
      'width=400,height=300,fit=cover,format=jpg,quality=60',
      undefined,
      'imageMogr2/thumbnail/!400x300r|imageMogr2/crop/400x300/gravity/center/format/jpg/quality/60',
    ],
    ['width=400,height=300,background=ff8800', undefined, 'imageMogr2/thumbnail/400x300/pad/1/color/I2ZmODgwMA'],
    ['width=400,background=ff8800', undefined, 'imageMogr2/thumbnail/400x'],
    ['trim=1', car, 'imageMogr2/cut/878x180x161x500'],
    [
      'trim=1,width=400,format=webp',
      car,
      'imageMogr2/cut/878x180x161x500|imageMogr2/thumbnail/400x/format/webp/quality/80',
    ],
    // Five percent of 878 on each side.
    ['trim=1,margin=5', car, 'imageMogr2/cut/966x268x117x456'],
    // Grown to a square around the middle of the product.
    ['trim=1,width=400,height=400', car, 'imageMogr2/cut/878x878x161x151|imageMogr2/thumbnail/400x400'],
    [
      'trim=1,width=400,height=400,fit=cover',
      car,
      'imageMogr2/cut/878x180x161x500|imageMogr2/thumbnail/!400x400r|imageMogr2/crop/400x400/gravity/center',
    ],
    // No further than the nearer edge, so that the product stays in the middle.
    ['trim=1,margin=100', corner, 'imageMogr2/cut/120x140x0x0'],
    ['trim=1', full, ''],
    ['trim=1,format=webp', full, 'imageMogr2/format/webp/quality/80'],
    ['trim=1,width=100,height=400', full, 'imageMogr2/thumbnail/100x400'],
  ] as const)('of %s is %#', (text, frame, expected) => {
    const view = parseView(text === '' ? [] : text.split(','))
    expect(operations(view, view.format === 'auto' ? 'png' : view.format, frame)).toBe(expected)
  })

  it('cuts within the picture, never into the product, and around its middle', () => {
    const side = fc.integer({ min: 1, max: 5000 })
    const frames = fc.tuple(side, side).chain(([w, h]) =>
      fc.tuple(fc.nat(w - 1), fc.nat(h - 1)).chain(([x, y]) =>
        fc.record({
          x: fc.constant(x),
          y: fc.constant(y),
          width: fc.integer({ min: 1, max: w - x }),
          height: fc.integer({ min: 1, max: h - y }),
          of: fc.constant([w, h] as const),
        }),
      ),
    )
    fc.assert(
      fc.property(frames, side, side, fc.nat(100), (frame, width, height, margin) => {
        const view = parseView(['trim=1', `margin=${margin}`, `width=${width}`, `height=${height}`])
        const text = operations(view, 'png', frame)
        const [w = 0, h = 0, x = 0, y = 0] = /cut\/(\d+)x(\d+)x(\d+)x(\d+)/.exec(text)?.slice(1).map(Number) ?? [
          ...frame.of,
          0,
          0,
        ]
        expect(x).toBeLessThanOrEqual(frame.x)
        expect(y).toBeLessThanOrEqual(frame.y)
        expect(x + w).toBeGreaterThanOrEqual(frame.x + frame.width)
        expect(y + h).toBeGreaterThanOrEqual(frame.y + frame.height)
        expect(x + w).toBeLessThanOrEqual(frame.of[0])
        expect(y + h).toBeLessThanOrEqual(frame.of[1])
        expect(2 * x + w - (2 * frame.x + frame.width)).toBeOneOf([0, 1])
        expect(2 * y + h - (2 * frame.y + frame.height)).toBeOneOf([0, 1])
      }),
    )
  })
})

it.each([
  ['wide', { x: 40, y: 60, width: 121, height: 20 }, 'cut/121x121x40x10'],
  ['high', { x: 60, y: 40, width: 20, height: 121 }, 'cut/121x121x10x40'],
])('attack: a frame that is %s by an odd number of pixels more is square nevertheless', (_, frame, cut) => {
  expect(operations(parseView(['trim=1', 'width=640', 'height=640']), 'png', { ...frame, of: [400, 400] })).toBe(
    `imageMogr2/${cut}|imageMogr2/thumbnail/640x640`,
  )
})

it('has a margin by the longer side of the frame', () => {
  const frame = { x: 100, y: 100, width: 20, height: 100, of: [400, 400] } as const
  expect(operations(parseView(['trim=1', 'margin=10']), 'png', frame)).toBe('imageMogr2/cut/40x120x90x90')
})

describe('format=auto', () => {
  const auto = parseView(['format=auto'])
  it.each([
    ['image/avif,image/webp,image/apng,*/*;q=0.8', false, 'webp'],
    ['image/avif,image/webp,image/apng,*/*;q=0.8', true, 'avif'],
    ['image/webp', true, 'webp'],
    ['IMAGE/WEBP;q=0.5', false, 'webp'],
    ['image/webp;q=0', false, 'png'],
    ['image/webp ; q=0.000', false, 'png'],
    ['image/png,image/*;q=0.8,*/*;q=0.5', true, 'png'],
    ['', true, 'png'],
    ['image/webpx, x-image/webp', true, 'png'],
  ])('%s, avif %s: %s', (accept, avif, format) => {
    expect(formatFor(auto, accept, avif)).toBe(format)
  })

  it('is no matter where the format is named', () => {
    expect(formatFor(parseView(['format=jpg']), 'image/webp', true)).toBe('jpg')
  })
})
