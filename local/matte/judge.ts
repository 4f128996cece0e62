import type { Difference } from './compare.ts'
import { type Facts, factsOf } from './facts.ts'
import { distances, type Size } from './plane.ts'
import type { Regions } from './region.ts'

/** What is enclosed and has the backdrop's colour is backdrop behind a wall no thicker than this part of its own size: a handle, a ring, a frame. What is deeper inside is a label. */
const WALL = 0.45
/** What is enclosed must keep this much of its core in the plain colour of the backdrop; the rest may be shadow. */
const PLAIN = 0.35

/** The regions that reach the border of the picture in the backdrop's colour. */
export function outsideOf(regions: Regions, difference: Difference, plain: number, size: Size): boolean[] {
  const facts = factsOf(regions, difference, plain, size)
  return facts.map((f) => f.rim > 0 && f.plainRim > 0.5 * f.rim && f.strange < 0.4)
}

/** Decides about each region as a whole: true is backdrop. */
export function judge(
  regions: Regions,
  difference: Difference,
  outside: boolean[],
  plain: number,
  size: Size,
): boolean[] {
  const facts = factsOf(regions, difference, plain, size)
  const open = outside.slice()
  openSoft(regions, facts, open)
  openHoles(regions, facts, open, size)
  openShadows(regions, facts, open)
  return open
}

/** The length of a region's border with backdrop, as a share of all of it, and the mean edge there. */
function borderWith({ borders }: Regions, a: number, open: boolean[]): { share: number; edge: number; inner: number } {
  let [all, length, edge, inner] = [0, 0, 0, 0]
  for (const [b, border] of borders[a] ?? []) {
    all += border.length
    if (!open[b]) {
      inner += border.edge
      continue
    }
    length += border.length
    edge += border.edge
  }
  const rest = all - length
  return {
    share: all > 0 ? length / all : 0,
    edge: length > 0 ? edge / length : 10,
    inner: rest > 0 ? inner / rest : 10,
  }
}

/** The rest of a shadow: its edge towards the backdrop is weak, and that towards the product is not. */
function openSoft(regions: Regions, facts: Facts[], open: boolean[]): void {
  for (let found = true; found; ) {
    found = false
    facts.forEach((f, a) => {
      if (a === 0 || open[a] || f.strange > 0.25) return
      const { share, edge, inner } = borderWith(regions, a, open)
      if (share < 0.2 || edge > 3.2 || edge > 0.5 * inner) return
      open[a] = true
      found = true
    })
  }
}

/** The thinnest walls first: when one gap of a rack is open, the wall of the next is no longer thick. */
function openHoles(regions: Regions, facts: Facts[], open: boolean[], size: Size): void {
  const like = facts.map((f, a) => a > 0 && !open[a] && f.area > 8 && f.plain > PLAIN && f.strange < 0.15)
  for (let found = true; found; ) {
    found = false
    const walls = wallsOf(regions, open, size)
    for (let a = 1; a < like.length; a++) {
      const f = facts[a]
      if (!like[a] || open[a] || !f) continue
      const { share, edge } = borderWith(regions, a, open)
      const pocket = share > 0 && edge < 4 && f.plain > 0.6
      const hole = share < 0.25 && (walls[a] ?? 0) < WALL * Math.sqrt(f.area)
      if (!pocket && !hole) continue
      open[a] = true
      found = true
    }
  }
}

/** For each region, how far its border is from backdrop: the near third of it, in pixels. */
function wallsOf({ label, count }: Regions, open: boolean[], size: Size): Float64Array {
  const { width } = size
  const far = distances(
    Uint8Array.from(label, (a) => (open[a] ? 1 : 0)),
    size,
  )
  const lists = Array.from({ length: count + 1 }, (): number[] => [])
  for (let i = 0; i < label.length; i++) {
    const a = label[i] ?? 0
    if (open[a]) continue
    if (label[i - 1] !== a || label[i + 1] !== a || label[i - width] !== a || label[i + width] !== a)
      lists[a]?.push((far[i] ?? 0) / 3)
  }
  return Float64Array.from(lists, (list) => list.sort((a, b) => a - b)[Math.floor(list.length * 0.3)] ?? 0)
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
  facts.forEach((f, a) => {
    if (a === 0 || open[a] || sure[a] || f.area > 1.2 * bulk) return
    const { share } = borderWith(regions, a, open)
    const low = f.bottom > bottom - 0.35 * (bottom - top) && f.top > top + 0.15 * (bottom - top)
    const even = f.spread < 0.05 && f.light > 0.35 && f.light < 0.95 && f.strange < 0.2 && f.plain < 0.3
    if (share > 0.6 && low && even) open[a] = true
  })
}
