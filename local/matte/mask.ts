import { fitBackdrop } from './backdrop.ts'
import { basins } from './basin.ts'
import { compare, type Difference } from './compare.ts'
import { edgeStrength } from './edge.ts'
import { judge, outsideOf } from './judge.ts'
import { clearReflection } from './mirror.ts'
import { invert, parts, type Size, shrink, smooth } from './plane.ts'
import { merge, type Regions, within } from './region.ts'
import { spread } from './spread.ts'
import { addThin } from './thin.ts'

/** What is known at the small size, from which the full size is computed. */
export interface Mask extends Size {
  /** 1 for the pixels of the product. */
  product: Uint8Array
  /** 1 where the backdrop shines through: what fills a glass. */
  sheer: Uint8Array
  /** Colour of the backdrop at each pixel, shadows included, also where the product hides it. */
  behind: Float32Array
  /** Colour of the product at each pixel, extrapolated where there is no product. */
  front: Float32Array
  noise: number
  /** What a network is in doubt about: all that may be product, what surely is, and alpha where colours say nothing. */
  doubt?: { most: Uint8Array; least: Uint8Array; soft: Float32Array }
}

const MIN_PART = 0.0003
/** In a noisy picture an edge is visible from so many levels on; in others from fewer. */
const VISIBLE = 2
/**
 * Mean edge between two regions, in levels, from which they are different things, in a noisy picture; in others it is less. And
 * how much more for each level that noise leaves in the edges.
 */
const APART = 1.6
const GRAIN = 5
/** The long side of a picture that need not have been reduced. */
const UNREDUCED = 440
/** From this noise on edges are looked for in a picture a little blurred. */
const NOISY = 2.5

/** Tells product from backdrop. `data` is interleaved 8-bit RGB. */
export function mask({ data, width, height }: { data: Uint8Array } & Size): Mask {
  const size = { width, height }
  const pixels = new Float32Array(data)
  const { backdrop, rest, difference: first, edge, regions } = analyse(pixels, size)
  const { noise } = backdrop
  const plain = Math.min(25, Math.max(6, 4 * noise))
  const outside = outsideOf(regions, first, edge, plain, size)
  const local = correct(rest, backdrop.colour, first, regions, outside, plain, size)
  const difference = compare(pixels, local, noise)
  const { open, shadows, sheer } = judge(regions, difference, edge, outside, plain, size)
  const whole = invert(within(regions.label, open))
  clearReflection(whole, pixels, local, size)
  // Only what has no edge is known as backdrop, so that nothing thin gets into it.
  const known = shrink(invert(whole), size, 2)
  for (let i = 0; i < known.length; i++) if ((edge[i] ?? 0) > 1) known[i] = 0
  const under = spread(pixels, new Float32Array(known), size)
  addThin(whole, pixels, under, difference, edge, within(regions.label, shadows), noise, size)
  const product = withoutSpecks(whole, difference.distance, Math.max(4, 3.5 * noise), size)
  const front = spread(pixels, new Float32Array(shrink(product, size, 2)), size)
  peel(product, pixels, under, front, size)
  return { ...size, product, sheer: within(regions.label, sheer), behind: under, front, noise }
}

/** Takes the picture apart into regions, each of which is either product or backdrop. */
export function analyse(pixels: Float32Array, size: Size) {
  const backdrop = fitBackdrop(pixels, size)
  const { colour, noise } = backdrop
  const rest = pixels.slice()
  for (let k = 0; k < rest.length; k++) rest[k] = (rest[k] ?? 0) - (colour[k] ?? 0)
  const difference = compare(pixels, colour, noise)
  const grainy = noise > NOISY
  const strange = grainy ? smooth(difference.strange, size, 1) : difference.strange
  const { edge, grain } = edgeStrength(grainy ? smooth(rest, size, 3) : rest, strange, noise, size)
  // A picture that was not reduced still shows the blocks of its JPEG.
  const rough = Math.max(size.width, size.height) < UNREDUCED ? 3 : noise
  const small = basins(edge, Math.min(VISIBLE, 0.8 + 0.5 * rough), size)
  const regions = merge(
    small.label,
    small.count,
    edge,
    strange,
    Math.min(APART, 1.05 + 0.2 * rough) + GRAIN * grain,
    size,
  )
  return { backdrop, rest, difference, edge, small, regions, grain }
}

/**
 * A lit backdrop is no polynomial: the model is bent to the backdrop that was found, coarsely, so that no shadow gets into it.
 */
function correct(
  rest: Float32Array,
  colour: Float32Array,
  { distance }: Difference,
  { label }: Regions,
  outside: boolean[],
  plain: number,
  size: Size,
): Float32Array {
  const found = within(label, outside)
  for (let i = 0; i < found.length; i++) if ((distance[i] ?? 0) > 1.5 * plain) found[i] = 0
  const bent = spread(rest, new Float32Array(shrink(found, size, 2)), size, 4)
  for (let k = 0; k < bent.length; k++) bent[k] = (bent[k] ?? 0) + (colour[k] ?? 0)
  return bent
}

/**
 * The outline lies where backdrop begins to change, on the outer foot of a blurred edge; it is moved in, in place, to where
 * product prevails.
 */
function peel(
  product: Uint8Array,
  pixels: Float32Array,
  behind: Float32Array,
  front: Float32Array,
  { width }: Size,
): void {
  for (let step = 0; step < 2; step++) {
    const before = product.slice()
    for (let i = width + 1; i < product.length - width - 1; i++) {
      if (!before[i]) continue
      if (before[i - 1] && before[i + 1] && before[i - width] && before[i + width]) continue
      const k = i * 3
      let along = 0
      let whole = 0
      for (let c = k; c < k + 3; c++) {
        const axis = (front[c] ?? 0) - (behind[c] ?? 0)
        along += axis * ((pixels[c] ?? 0) - (behind[c] ?? 0))
        whole += axis * axis
      }
      if (whole > 400 && along < 0.4 * whole) product[i] = 0
    }
  }
}

/** Drops what is too small or too faint to be a part of the product: dust, noise, the rim of a shadow. */
function withoutSpecks(product: Uint8Array, distance: Float32Array, plain: number, size: Size): Uint8Array {
  const all = parts(product, size)
  const largest = Math.max(0, ...all.map((part) => part.length))
  const least = Math.max(4, MIN_PART * size.width * size.height, largest * 0.003)
  const kept = new Uint8Array(product.length)
  for (const part of all) {
    if (part.length < least || part.every((i) => (distance[i] ?? 0) < plain)) continue
    for (const i of part) kept[i] = 1
  }
  return kept
}
