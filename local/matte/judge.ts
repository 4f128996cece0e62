import type { Difference } from './compare.ts'
import { type Facts, factsOf } from './facts.ts'
import { sheerBy } from './glass.ts'
import { openHoles } from './hole.ts'
import type { Size } from './plane.ts'
import { borderWith, type Regions } from './region.ts'

/** The regions that reach the border of the picture in the backdrop's colour. */
export function outsideOf(
  regions: Regions,
  difference: Difference,
  edge: Float32Array,
  plain: number,
  size: Size,
): boolean[] {
  const facts = factsOf(regions, difference, edge, plain, size)
  return facts.map((f) => f.rim > 0 && f.plainRim > 0.5 * f.rim && f.strange < 0.4)
}

/** Edge of a shadow towards the backdrop, for each level that it is darker. */
const FADES = 0.025
/** More than this, beside what is clearly product, makes a product grey. */
const GREY = 0.6

/** Decides about each region as a whole: true is backdrop, or a hard shadow on it. */
export function judge(
  regions: Regions,
  difference: Difference,
  edge: Float32Array,
  outside: boolean[],
  plain: number,
  size: Size,
): { open: boolean[]; shadows: boolean[]; sheer: boolean[] } {
  const facts = factsOf(regions, difference, edge, plain, size)
  const open = outside.slice()
  openSoft(regions, facts, open)
  const panes = openHoles(regions, facts, open, plain, size)
  const light = open.slice()
  openShadows(regions, facts, open)
  return { open, shadows: open.map((is, a) => is && !light[a]), sheer: sheerBy(facts, open, panes) }
}

/** The rest of a shadow: its edge towards the backdrop is weak, and that towards the product is not. */
function openSoft(regions: Regions, facts: Facts[], open: boolean[]): void {
  for (let found = true; found; ) {
    found = false
    facts.forEach((f, a) => {
      if (a === 0 || open[a] || f.strange > (f.plain > 0.5 ? 0.4 : 0.25)) return
      const { share, edge, inner } = borderWith(regions, a, open)
      // The darker it is, the steeper may it fade out.
      if (share < 0.2 || edge > Math.max(3.2, FADES * f.off) || edge > 0.5 * inner) return
      open[a] = true
      found = true
    })
  }
}

/**
 * A hard shadow has a sharp edge, as a face of the product has. It is taken for a shadow only if all speaks for it: the
 * backdrop's hue, evenly darker, most of its border with backdrop, lying at the foot of a product that is none itself.
 */
function openShadows(regions: Regions, facts: Facts[], open: boolean[]): void {
  const sure = facts.map((f, a) => a > 0 && !open[a] && (f.strange > 0.5 || f.light < 0.3 || f.light > 1.1))
  const rest = facts.reduce((sum, f, a) => sum + (a > 0 && !open[a] ? f.area : 0), 0)
  const bulk = facts.reduce((sum, f, a) => sum + (sure[a] ? f.area : 0), 0)
  if (bulk < 0.4 * rest) return
  let [top, bottom] = [Number.POSITIVE_INFINITY, 0]
  facts.forEach((f, a) => {
    if (!sure[a] || f.area < 0.02 * bulk) return
    top = Math.min(top, f.top)
    bottom = Math.max(bottom, f.bottom)
  })
  const shadows = facts.map((f, a) => {
    if (a === 0 || open[a] || sure[a] || f.area > 1.2 * bulk) return false
    const low = f.bottom > bottom - 0.35 * (bottom - top) && f.top > top + 0.15 * (bottom - top)
    const even = f.spread < 0.05 && f.light > 0.35 && f.light < 0.95 && f.strange < 0.2 && f.plain < 0.3
    // A lighter part of the same material is no shadow of it.
    const kin = [...(regions.borders[a] ?? [])].some(
      ([b]) => sure[b] && Math.abs((facts[b]?.light ?? 0) - f.light) < 0.1,
    )
    return low && even && !kin
  })
  // A grey thing is made of what looks like shadows; where there is more of that than these, they are parts of it too.
  const grey = facts.reduce((sum, f, a) => sum + (a > 0 && !open[a] && !sure[a] && !shadows[a] ? f.area : 0), 0)
  if (grey > GREY * bulk) return
  // The part at the product's foot is bordered by the part farther out.
  for (let round = 0; round < 3; round++) {
    const found = shadows.map((is, a) => is && !open[a] && borderWith(regions, a, open).share > 0.6)
    found.forEach((is, a) => {
      if (is) open[a] = true
    })
  }
}
