import type { Facts } from './facts.ts'
import { distances, flood, type Size } from './plane.ts'
import { borderWith, type Regions, within } from './region.ts'

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

/**
 * The thinnest walls first: when one gap of a rack is open, the wall of the next is no longer thick. Returns those that are
 * panes: a light is mirrored in them.
 */
export function openHoles(regions: Regions, facts: Facts[], open: boolean[], plain: number, size: Size): number[] {
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
