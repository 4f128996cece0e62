import type { Facts } from './facts.ts'
import { distances, flood, type Size } from './plane.ts'
import { borderWith, type Regions, within } from './region.ts'

/** What is enclosed and has the backdrop's colour is backdrop behind a wall no thicker than this part of its own size: a handle, a ring, a frame. What is deeper inside is a label. */
const WALL = 0.55
const ROUND = 0.48
/** A light mirrored in a pane takes at least this part of its outline. */
const GLINT = 0.06
/** The mean edge between two parts of one gap. */
const WEAK = 3.2
/** The wall of a gap may also be as thick as this part of the picture, if the gap has the very colour of the backdrop. */
const SLIT = 0.04
/** Two gaps are side by side when no more than so many pixels part them. */
const SPOKE = 6
/** What faces, across a thin line and along so much of its outline, something with so much print belongs to the same label. */
const RICH = 0.03
const BESIDE = 0.2
/** Something printed on it that covers this part of it shows a label. */
const PRINTED = 0.012
/** What is enclosed must keep this much of its core in the plain colour of the backdrop; the rest may be shadow. */
const PLAIN = 0.35

/**
 * The thinnest walls first: when one gap of a rack is open, the wall of the next is no longer thick. Returns those that are
 * panes: a light is mirrored in them.
 */
export function openHoles(regions: Regions, facts: Facts[], open: boolean[], plain: number, size: Size): number[] {
  const like = facts.map(
    (f, a) => a > 0 && !open[a] && f.area > 8 && f.plain > PLAIN && f.strange < (f.plain > 0.6 ? 0.35 : 0.15),
  )
  if (!like.includes(true)) return []
  const outlines = outlinesOf(regions, like, size)
  const all = groupsOf(regions, like)
  const prints = all.map((group) => printOn(regions, facts, group, size))
  // What lies behind a printed line, or within a letter, is of the same label.
  const label = new Set(all.flatMap((group, n) => ((prints[n] ?? 0) > RICH ? group : [])))
  const groups = all.filter(
    (group, n) =>
      (prints[n] ?? 0) < PRINTED &&
      facingShare(outlines, group, label) < BESIDE &&
      !goesOn(regions, facts, group, like, open),
  )
  for (let found = true; found; ) {
    found = false
    const far = distances(within(regions.label, open), size)
    for (const group of groups) {
      if (group.every((a) => open[a])) continue
      // Through a handle or a ring one sees past a thin wall to most sides; a label has a margin at two of them.
      const walls = group
        .flatMap((a) => (outlines.get(a)?.free ?? []).map((i) => (far[i] ?? 0) / 3))
        .sort((p, q) => p - q)
      const wall = (part: number) => walls[Math.floor(walls.length * part)] ?? 0
      const area = group.reduce((sum, a) => sum + (facts[a]?.area ?? 0), 0)
      for (const a of group) {
        const f = facts[a]
        if (open[a] || !f) continue
        const { share, edge, inner } = borderWith(regions, a, open)
        const pocket = share > 0 && edge < 4 && f.plain > 0.6
        const hole = share < 0.25 && wall(ROUND) < WALL * Math.sqrt(area)
        const exact = f.off < 0.7 * plain && inner > 7 && f.area > 40 && f.area < 0.003 * regions.label.length
        const small = exact && share < 0.25 && wall(0.3) < SLIT * Math.min(size.width, size.height)
        if (!pocket && !hole && !small) continue
        open[a] = true
        found = true
      }
    }
  }
  return [...outlines.keys()].filter((a) => {
    const around = [...(regions.borders[a] ?? [])]
    const bright = around.filter(([b]) => !open[b] && (facts[b]?.light ?? 0) > 1.02)
    const length = (list: typeof around) => list.reduce((sum, [, border]) => sum + border.length, 0)
    return open[a] && length(bright) > GLINT * length(around)
  })
}

/** Whether a label goes on beside these regions, in another light: that is no shadow, and has not the backdrop's colour. */
function goesOn({ borders }: Regions, facts: Facts[], group: number[], like: boolean[], open: boolean[]): boolean {
  const area = group.reduce((sum, a) => sum + (facts[a]?.area ?? 0), 0)
  return group.some((a) =>
    [...(borders[a] ?? [])].some(([b, border]) => {
      const f = facts[b]
      if (!f || like[b] || open[b] || border.edge > WEAK * border.length) return false
      return f.area > 0.2 * area && f.light > 0.94 && f.strange < 0.3
    }),
  )
}

/** Regions that a weak edge parts, together. */
function groupsOf({ borders }: Regions, like: boolean[]): number[][] {
  const seen = like.map((is) => !is)
  return like.flatMap((_, first) => {
    if (seen[first]) return []
    seen[first] = true
    const group = [first]
    for (const a of group) {
      for (const [b, border] of borders[a] ?? []) {
        if (seen[b] || border.edge > WEAK * border.length) continue
        seen[b] = true
        group.push(b)
      }
    }
    return [group]
  })
}

/**
 * How much of some regions is covered by others that lie inside of them, as a share of their area. What is lighter than the backdrop is
 * no print but a light mirrored in glass.
 */
function printOn({ label }: Regions, facts: Facts[], group: number[], { width }: Size): number {
  const members = group.flatMap((a) => facts[a] ?? [])
  const [left, top] = [Math.min(...members.map((f) => f.left)), Math.min(...members.map((f) => f.top))]
  const [right, bottom] = [Math.max(...members.map((f) => f.right)), Math.max(...members.map((f) => f.bottom))]
  const own = new Set(group)
  // The box of the regions with a margin of a pixel, which is where the outside begins.
  const [w, h] = [right - left + 3, bottom - top + 3]
  const at = (x: number, y: number) => label[(top + y - 1) * width + left + x - 1] ?? 0
  const others = new Uint8Array(w * h).fill(1)
  for (let y = 1; y < h - 1; y++) for (let x = 1; x < w - 1; x++) others[y * w + x] = own.has(at(x, y)) ? 0 : 1
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
  return print / members.reduce((sum, f) => sum + f.area, 0)
}

/** The pixels of a region's outline, but for those that face another such region; and how many pixels face which. */
interface Outline {
  free: number[]
  facing: Map<number, number>
}

function outlinesOf({ label }: Regions, like: boolean[], { width }: Size): Map<number, Outline> {
  const outlines = new Map<number, Outline>()
  for (let i = width; i < label.length - width; i++) {
    const a = label[i] ?? 0
    if (!like[a]) continue
    if (label[i - 1] === a && label[i + 1] === a && label[i - width] === a && label[i + width] === a) continue
    const outline: Outline = outlines.get(a) ?? { free: [], facing: new Map() }
    outlines.set(a, outline)
    // Behind a spoke is the next gap of the wheel, which says nothing of either.
    const other = beyond(label, i, like, width)
    if (other === 0) outline.free.push(i)
    else outline.facing.set(other, (outline.facing.get(other) ?? 0) + 1)
  }
  return outlines
}

/** The nearest other region of the kind no farther than a spoke is thick; 0 if there is none. */
function beyond(label: Int32Array, i: number, like: boolean[], width: number): number {
  const a = label[i] ?? 0
  for (let d = 2; d <= SPOKE; d++) {
    for (const j of [i - d, i + d, i - d * width, i + d * width]) {
      const b = j >= 0 && j < label.length ? (label[j] ?? 0) : a
      if (b !== a && like[b]) return b
    }
  }
  return 0
}

/** Which part of the outline of some regions faces those. */
function facingShare(outlines: Map<number, Outline>, group: number[], those: Set<number>): number {
  let [all, met] = [0, 0]
  for (const a of group) {
    const { free, facing } = outlines.get(a) ?? { free: [], facing: new Map<number, number>() }
    all += free.length
    for (const [b, count] of facing) {
      if (group.includes(b)) continue
      all += count
      if (those.has(b)) met += count
    }
  }
  return all > 0 ? met / all : 0
}
