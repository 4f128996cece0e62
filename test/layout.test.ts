import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { layoutName, parseLayout, plain, rule } from '../lib/layout.ts'

describe('parseLayout', () => {
  it.each([
    ['', plain, 'plain', 'ci-process=GoodsMatting'],
    ['center-layout=0', plain, 'plain', 'ci-process=GoodsMatting'],
    ['padding-layout=0x0', plain, 'plain', 'ci-process=GoodsMatting'],
    ['center-layout=1', { center: true, dx: 0, dy: 0 }, 'c1', 'ci-process=GoodsMatting&center-layout=1'],
    [
      'padding-layout=20x10',
      { center: false, dx: 20, dy: 10 },
      'p20x10',
      'ci-process=GoodsMatting&padding-layout=20x10',
    ],
    [
      'padding-layout=0x1000',
      { center: false, dx: 0, dy: 1000 },
      'p0x1000',
      'ci-process=GoodsMatting&padding-layout=0x1000',
    ],
    [
      'padding-layout=020x10&center-layout=1',
      { center: true, dx: 20, dy: 10 },
      'c1-p20x10',
      'ci-process=GoodsMatting&center-layout=1&padding-layout=20x10',
    ],
  ])('reads %j', (text, layout, name, vendor) => {
    expect(parseLayout(text, '&')).toEqual(layout)
    expect(parseLayout(text.replace('&', ','), ',')).toEqual(layout)
    expect(layoutName(layout)).toBe(name)
    expect(rule(layout)).toBe(vendor)
  })

  it.each([
    'center-layout=2',
    'center-layout=',
    'center-layout=1&center-layout=1',
    'padding-layout=1x1&padding-layout=1x1',
    'padding-layout=1001x0',
    'padding-layout=0x1001',
    'padding-layout=20',
    'padding-layout=-1x0',
    'padding-layout=1.5x0',
    'padding-layout=1x1x1',
    'padding-layout= 1x1',
    'Center-Layout=1',
    'shape=round',
    '&',
    'center-layout=1&',
    'center-layout=1,padding-layout=1x1',
    'ci-process=GoodsMatting',
  ])('refuses %j', (text) => {
    expect(() => parseLayout(text, '&')).toThrow(expect.objectContaining({ code: 'bad-layout', status: 400 }))
  })

  it('gives each layout one name and one rule, whatever its spelling', () => {
    const layouts = fc.record({ center: fc.boolean(), dx: fc.nat(1000), dy: fc.nat(1000) })
    fc.assert(
      fc.property(layouts, layouts, fc.boolean(), (a, b, swapped) => {
        const parts = [`center-layout=${a.center ? 1 : 0}`, `padding-layout=${a.dx}x${a.dy}`]
        expect(parseLayout((swapped ? parts.reverse() : parts).join('&'), '&')).toEqual(a)
        const same = JSON.stringify(a) === JSON.stringify(b)
        expect(layoutName(a) === layoutName(b)).toBe(same)
        expect(rule(a) === rule(b)).toBe(same)
      }),
    )
  })
})
