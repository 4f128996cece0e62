import type { Difference } from './compare.ts'
import { type Facts, factsOf } from './facts.ts'
import { distances, flood, type Size } from './plane.ts'
import type { Regions } from './region.ts'

/** What is enclosed and has the backdrop's colour is backdrop behind a wall no thicker than this part of its own size: a handle, a ring, a frame. What is deeper inside is a label. */
const WALL = 0.55
const ROUND = 0.48
/** A light mirrored in a pane takes at least this part of its outline. */
const GLINT = 0.06
/** The wall of a gap may also be as thick as this part of the picture, if the gap has the very colour of the backdrop. */
const SLIT = 0.04
/** Two gaps are side by side when no more than so many pixels part them. */
const SPOKE = 6
/** Something printed on it that covers this part of it shows a label. */
const PRINTED = 0.012
/** What is enclosed must keep this much of its core in the plain colour of the backdrop; the rest may be shadow. */
const PLAIN = 0.35

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
      if (a === 0 || open[a] || f.strange > (f.plain > 0.5 ? 0.4 : 0.25)) return
      const { share, edge, inner } = borderWith(regions, a, open)
      if (share < 0.2 || edge > 3.2 || edge > 0.5 * inner) return
      open[a] = true
      found = true
    })
  }
}

/**
 * The thinnest walls first: when one gap of a rack is open, the wall of the next is no longer thick. Returns those that are
 * panes: a light is mirrored in them.
 */
function openHoles(regions: Regions, facts: Facts[], open: boolean[], plain: number, size: Size): number[] {
  const like = facts.map((f, a) => a > 0 && !open[a] && f.area > 8 && f.plain > PLAIN && f.strange < 0.15)
  if (!like.includes(true)) return []
  const outlines = outlinesOf(regions, like, size)
  for (const a of outlines.keys()) if (printOn(regions, facts, a, size) > PRINTED) outlines.delete(a)
  for (let found = true; found; ) {
    found = false
    const far = distances(within(regions.label, open), size)
    for (const [a, outline] of outlines) {
      const f = facts[a]
      if (open[a] || !f) continue
      // Through a handle or a ring one sees past a thin wall to most sides; a label has a margin at two of them.
      const sorted = outline.map((i) => (far[i] ?? 0) / 3).sort((p, q) => p - q)
      const wall = (part: number) => sorted[Math.floor(sorted.length * part)] ?? 0
      const { share, edge, inner } = borderWith(regions, a, open)
      const pocket = share > 0 && edge < 4 && f.plain > 0.6
      const hole = share < 0.25 && wall(ROUND) < WALL * Math.sqrt(f.area)
      const exact = f.off < 0.7 * plain && inner > 7 && f.area > 40 && f.area < 0.0015 * regions.label.length
      const small = exact && share < 0.25 && wall(0.3) < SLIT * Math.min(size.width, size.height)
      if (!pocket && !hole && !small) continue
      open[a] = true
      found = true
    }
  }
  return [...outlines.keys()].filter((a) => {
    const around = [...(regions.borders[a] ?? [])]
    const bright = around.filter(([b]) => !open[b] && (facts[b]?.light ?? 0) > 1.02)
    const length = (list: typeof around) => list.reduce((sum, [, border]) => sum + border.length, 0)
    return open[a] && length(bright) > GLINT * length(around)
  })
}

/** What fills a glass: as wide as the pane above it and next to it, even, and no darker than what light comes through. */
function sheerBy(facts: Facts[], open: boolean[], panes: number[]): boolean[] {
  const sheer = facts.map(() => false)
  for (const pane of panes) {
    const glass = facts[pane]
    if (!glass || glass.plain < 0.7) continue
    const wide = glass.right - glass.left
    const within = ({ left, right }: Facts) => left > glass.left - 0.12 * wide && right < glass.right + 0.12 * wide
    const filled = facts.filter((f, a) => {
      const near = f.top < glass.bottom + 0.1 * (glass.bottom - glass.top) && f.bottom > glass.bottom
      const even = f.light > 0.55 && f.spread < 0.06 && f.area > 0.1 * glass.area
      return a > 0 && !open[a] && even && near && within(f) && f.right - f.left > 0.7 * wide
    })
    // A mirrored light parts it.
    facts.forEach((f, a) => {
      const same = filled.some(
        (one) => Math.abs(one.light - f.light) < 0.04 && f.top >= one.top - 3 && f.bottom <= one.bottom + 3,
      )
      if (a > 0 && !open[a] && same && within(f) && f.spread < 0.06) sheer[a] = true
    })
  }
  return sheer
}

/**
 * How much of a region is covered by others that lie inside of it, as a share of its area. What is lighter than the backdrop is
 * no print but a light mirrored in glass.
 */
function printOn({ label }: Regions, facts: Facts[], a: number, { width }: Size): number {
  const f = facts[a]
  if (!f) return 0
  // The box of the region with a margin of a pixel, which is where the outside begins.
  const [w, h] = [f.right - f.left + 3, f.bottom - f.top + 3]
  const at = (x: number, y: number) => label[(f.top + y - 1) * width + f.left + x - 1] ?? 0
  const others = new Uint8Array(w * h).fill(1)
  for (let y = 1; y < h - 1; y++) for (let x = 1; x < w - 1; x++) others[y * w + x] = at(x, y) === a ? 0 : 1
  const outside = new Uint8Array(w * h)
  outside[0] = 1
  flood(outside, others, { width: w, height: h })
  let print = 0
  for (let y = 1; y < h - 1; y++) {
    for (let x = 1; x < w - 1; x++) {
      const i = y * w + x
      if (others[i] && !outside[i] && (facts[at(x, y)]?.light ?? 0) < 1.01) print++
    }
  }
  return print / f.area
}

function outlinesOf({ label }: Regions, like: boolean[], { width }: Size): Map<number, number[]> {
  const outlines = new Map<number, number[]>()
  for (let i = width; i < label.length - width; i++) {
    const a = label[i] ?? 0
    if (!like[a]) continue
    if (label[i - 1] === a && label[i + 1] === a && label[i - width] === a && label[i + width] === a) continue
    // Behind a spoke is the next gap of the wheel, which says nothing of either.
    let facing = false
    for (let d = 2; d <= SPOKE && !facing; d++) {
      for (const j of [i - d, i + d, i - d * width, i + d * width]) {
        const b = j >= 0 && j < label.length ? (label[j] ?? 0) : a
        if (b !== a && like[b]) facing = true
      }
    }
    if (facing) continue
    const outline = outlines.get(a)
    if (outline) outline.push(i)
    else outlines.set(a, [i])
  }
  return outlines
}

/** 1 for the pixels of the regions chosen. */
export function within(label: Int32Array, chosen: boolean[]): Uint8Array {
  const out = new Uint8Array(label.length)
  for (let i = 0; i < out.length; i++) out[i] = chosen[label[i] ?? 0] ? 1 : 0
  return out
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
    // A lighter part of the same material is no shadow of it.
    const kin = [...(regions.borders[a] ?? [])].some(
      ([b]) => sure[b] && Math.abs((facts[b]?.light ?? 0) - f.light) < 0.1,
    )
    if (share > 0.6 && low && even && !kin) open[a] = true
  })
}
