import { distances, parts, type Size } from './plane.ts'

const LEVELS = 512
/** Visible edges of fewer pixels are noise. */
const SPECK = 5

/**
 * Cuts the picture into small regions that no edge runs through: a watershed (Meyer's flooding by a queue of levels) of the
 * edges, and between them of the distance to the nearest edge, so that regions end at bottlenecks. A gap in a faint outline is
 * such a bottleneck: there the outline is closed. An edge is visible from so many levels on. Returns the number of each pixel's region.
 */
export function basins(edge: Float32Array, visible: number, size: Size): { label: Int32Array; count: number } {
  const level = heights(edge, visible, size)
  const { width, height } = size
  const label = new Int32Array(level.length)
  const next = new Int32Array(level.length).fill(-1)
  const heads = new Int32Array(LEVELS).fill(-1)
  const tails = new Int32Array(LEVELS).fill(-1)
  let lowest = LEVELS
  const push = (i: number, at: number) => {
    const tail = tails[at] ?? -1
    if (tail < 0) heads[at] = i
    else next[tail] = i
    tails[at] = i
    next[i] = -1
    if (at < lowest) lowest = at
  }
  const count = minima(level, label, size, (i) => push(i, level[i] ?? 0))
  while (lowest < LEVELS) {
    const i = heads[lowest] ?? -1
    if (i < 0) {
      lowest++
      continue
    }
    const at = lowest
    heads[at] = next[i] ?? -1
    if ((heads[at] ?? -1) < 0) tails[at] = -1
    const x = i % width
    for (let side = 0; side < 4; side++) {
      const j = side === 0 ? i - 1 : side === 1 ? i + 1 : side === 2 ? i - width : i + width
      if ((side === 0 && x === 0) || (side === 1 && x === width - 1) || j < 0 || j >= width * height) continue
      if (label[j] !== 0) continue
      label[j] = label[i] ?? 0
      push(j, Math.max(at, level[j] ?? 0))
    }
  }
  return { label, count }
}

/** Edges stand above everything by their strength; elsewhere it is the lower the farther from an edge. */
function heights(edge: Float32Array, least: number, size: Size): Int32Array {
  const visible = new Uint8Array(edge.length)
  for (let i = 0; i < edge.length; i++) if ((edge[i] ?? 0) > least) visible[i] = 1
  for (const part of parts(visible, size)) if (part.length < SPECK) for (const i of part) visible[i] = 0
  const far = distances(visible, size)
  const out = new Int32Array(edge.length)
  for (let i = 0; i < out.length; i++) {
    const strength = edge[i] ?? 0
    out[i] = visible[i] ? 256 + Math.min(255, Math.round(strength * 6)) : 255 - Math.min(255, (far[i] ?? 0) >> 1)
  }
  return out
}

/** Gives each plateau that has no lower neighbour a number, and reports its pixels. */
function minima(level: Int32Array, label: Int32Array, { width, height }: Size, seed: (i: number) => void): number {
  const seen = new Uint8Array(level.length)
  let count = 0
  const stack = new Int32Array(level.length)
  for (let start = 0; start < level.length; start++) {
    if (seen[start]) continue
    seen[start] = 1
    stack[0] = start
    let size = 1
    let lowest = true
    for (let n = 0; n < size; n++) {
      const i = stack[n] ?? 0
      const x = i % width
      const own = level[i] ?? 0
      for (let side = 0; side < 4; side++) {
        const j = side === 0 ? i - 1 : side === 1 ? i + 1 : side === 2 ? i - width : i + width
        if ((side === 0 && x === 0) || (side === 1 && x === width - 1) || j < 0 || j >= width * height) continue
        const other = level[j] ?? 0
        if (other < own) lowest = false
        if (other !== own || seen[j]) continue
        seen[j] = 1
        stack[size++] = j
      }
    }
    if (!lowest) continue
    count++
    for (let n = 0; n < size; n++) {
      const i = stack[n] ?? 0
      label[i] = count
      seed(i)
    }
  }
  return count
}
