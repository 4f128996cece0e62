import { Heap } from './heap.ts'
import type { Size } from './plane.ts'

/** The border between two regions: its length, and the sum of the edge along it. */
export interface Border {
  length: number
  edge: number
}

/** Regions of the picture, numbered from 1, each pixel's number, and for each region its neighbours. */
export interface Regions {
  label: Int32Array
  count: number
  borders: Map<number, Border>[]
}

/** A strong piece of an edge must not hide that most of the border has none. */
const ENOUGH = 10

/** Colours farther from the backdrop's are not more of a reason to stand apart. */
const STRANGEST = 4

/**
 * Merges regions as long as some border between two has a weak edge on average, weakest first (as in the ultrametric contour
 * maps of Arbeláez et al., 2011): one gap in an outline does not join what lies inside with what lies outside, because all of
 * the outline is asked. `kin` is how different two regions are by themselves; it adds to the edge.
 */
export function merge(
  label: Int32Array,
  count: number,
  edge: Float32Array,
  odd: Float32Array,
  limit: number,
  size: Size,
): Regions {
  const borders = bordersOf(label, count, edge, size)
  const { sum, area } = totals(label, count, odd)
  const owner = Int32Array.from({ length: count + 1 }, (_, i) => i)
  const around = Float64Array.from(borders, (near) => [...near.values()].reduce((all, { length }) => all + length, 0))
  const heap = new Heap()
  const offer = (a: number, b: number) => {
    const border = borders[a]?.get(b)
    if (!border) return
    const apart = Math.abs((sum[a] ?? 0) / (area[a] ?? 1) - (sum[b] ?? 0) / (area[b] ?? 1))
    const strength = border.edge / border.length + 2 * apart
    if (strength >= limit) return
    const neck = Math.min(around[a] ?? 0, around[b] ?? 0) / border.length
    heap.push((strength + 0.2) * Math.sqrt(neck), a, b, border.length)
  }
  borders.forEach((near, a) => {
    for (const b of near.keys()) if (a < b) offer(a, b)
  })
  for (let top = heap.pop(); top; top = heap.pop()) {
    const [a, b, length] = top
    // Out of date: one of them is gone, or the border has grown.
    const shared = borders[a]?.get(b)
    if (!shared || shared.length !== length) continue
    const [keep, gone] = (borders[a]?.size ?? 0) >= (borders[b]?.size ?? 0) ? [a, b] : [b, a]
    const [mine, its] = [borders[keep], borders[gone]]
    if (!mine || !its) continue
    owner[gone] = keep
    sum[keep] = (sum[keep] ?? 0) + (sum[gone] ?? 0)
    area[keep] = (area[keep] ?? 0) + (area[gone] ?? 0)
    around[keep] = (around[keep] ?? 0) + (around[gone] ?? 0) - 2 * shared.length
    mine.delete(gone)
    for (const [other, border] of its) {
      if (other === keep) continue
      const known = mine.get(other)
      const joined = known ? { length: known.length + border.length, edge: known.edge + border.edge } : border
      mine.set(other, joined)
      borders[other]?.delete(gone)
      borders[other]?.set(keep, joined)
    }
    borders[gone] = new Map()
    for (const other of mine.keys()) offer(keep, other)
  }
  return number(label, owner, borders)
}

/** The length of a region's border with backdrop, as a share of all of it, and the mean edge there. */
export function borderWith(
  { borders }: Regions,
  a: number,
  open: boolean[],
): { share: number; edge: number; inner: number } {
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

/** 1 for the pixels of the regions chosen. */
export function within(label: Int32Array, chosen: boolean[]): Uint8Array {
  const out = new Uint8Array(label.length)
  for (let i = 0; i < out.length; i++) out[i] = chosen[label[i] ?? 0] ? 1 : 0
  return out
}

function bordersOf(
  label: Int32Array,
  count: number,
  edge: Float32Array,
  { width, height }: Size,
): Map<number, Border>[] {
  const borders = Array.from({ length: count + 1 }, () => new Map<number, Border>())
  const touch = (i: number, j: number) => {
    const [a, b] = [label[i] ?? 0, label[j] ?? 0]
    if (a === b) return
    const strength = Math.min(ENOUGH, Math.max(edge[i] ?? 0, edge[j] ?? 0))
    const known = borders[a]?.get(b)
    if (known) {
      known.length++
      known.edge += strength
      return
    }
    const border = { length: 1, edge: strength }
    borders[a]?.set(b, border)
    borders[b]?.set(a, border)
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      if (x + 1 < width) touch(i, i + 1)
      if (y + 1 < height) touch(i, i + width)
    }
  }
  return borders
}

function totals(label: Int32Array, count: number, plane: Float32Array) {
  const sum = new Float64Array(count + 1)
  const area = new Float64Array(count + 1)
  label.forEach((a, i) => {
    sum[a] = (sum[a] ?? 0) + Math.min(plane[i] ?? 0, STRANGEST)
    area[a] = (area[a] ?? 0) + 1
  })
  return { sum, area }
}

/** Numbers what is left from 1. */
function number(label: Int32Array, owner: Int32Array, borders: Map<number, Border>[]): Regions {
  const root = (a: number): number => {
    let r = a
    while (owner[r] !== r) r = owner[r] ?? r
    return r
  }
  const fresh = new Int32Array(owner.length)
  const roots: number[] = [0]
  for (let a = 1; a < owner.length; a++) if (owner[a] === a) fresh[a] = roots.push(a) - 1
  const final = Int32Array.from(owner, (_, a) => fresh[root(a)] ?? 0)
  return {
    label: label.map((a) => final[a] ?? 0),
    count: roots.length - 1,
    borders: roots.map((r) => new Map([...(borders[r] ?? [])].map(([b, border]) => [fresh[b] ?? 0, border]))),
  }
}
