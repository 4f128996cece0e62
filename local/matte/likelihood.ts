import sharp from 'sharp'
import type { Mask } from './mask.ts'
import { flood, grow, invert, type Size, shrink } from './plane.ts'
import { bilinear, spread } from './spread.ts'

/** How likely each pixel is one of the product, 0 to 255; at whatever size, its edges are those of the picture. */
export interface Likelihood extends Size {
  data: Uint8Array
}

/** From here on a pixel is product, is surely product, and may be product. */
const PRODUCT = 0.5
const SURE = 0.9
const MAYBE = 0.25
/** How far from the outline the backdrop is looked at, to learn how even it is. */
const NEAR = 12

/** What refine needs to know, from what a network sees. `data` is the picture as interleaved 8-bit RGB. */
export async function maskOf({ data, width, height }: { data: Uint8Array } & Size, seen: Likelihood): Promise<Mask> {
  const size = { width, height }
  const likely = resize(await reduce(seen, size), size)
  const atLeast = (least: number) => Uint8Array.from(likely, (value) => (value >= least ? 1 : 0))
  const product = atLeast(PRODUCT)
  // How far the network's outline may be off: by a pixel of its grid, or of the mask.
  const band = Math.ceil(Math.max(1, width / seen.width, height / seen.height))
  // What it merely holds possible counts as far as it hangs together with the product: fur, not a stain on the wall.
  const most = grow(product, size, band)
  flood(most, atLeast(MAYBE), size)
  // Deep inside it is all product, however unsure: there the colour of a white toe must not open it up.
  const least = shrink(product, size, band)
  const inside = shrink(product, size, band >> 1)
  const pixels = new Float32Array(data)
  const backdrop = first(shrink(invert(most), size, 1), invert(most), invert(product))
  const behind = spread(pixels, new Float32Array(backdrop), size)
  const front = spread(pixels, new Float32Array(first(least, product)), size)
  const near = grow(most, size, NEAR)
  for (let i = 0; i < near.length; i++) near[i] = (near[i] ?? 0) & (backdrop[i] ?? 0)
  const noise = unevenness(pixels, spread(pixels, new Float32Array(backdrop), size, 3), near)
  const sheer = new Uint8Array(product.length)
  return { ...size, product, sheer, behind, front, noise, doubt: { most, least, soft: soften(likely, inside) } }
}

/** The first set that is not empty. */
function first(...sets: Uint8Array[]): Uint8Array {
  return sets.find((set) => set.includes(1)) ?? new Uint8Array(sets[0]?.length ?? 0)
}

/**
 * How far colours of the backdrop lie from their surroundings, so how little a colour says; no network tells where the
 * backdrop is plain.
 */
function unevenness(pixels: Float32Array, smooth: Float32Array, set: Uint8Array): number {
  const off: number[] = []
  for (let i = 0; i < set.length; i++) {
    if (!set[i]) continue
    for (let k = i * 3; k < i * 3 + 3; k++) off.push(Math.abs((pixels[k] ?? 0) - (smooth[k] ?? 0)))
  }
  // Of a normal distribution half lies within 0.67 standard deviations.
  return 1.48 * (Float32Array.from(off).sort()[off.length >> 1] ?? 0)
}

/**
 * Alpha where the colour says nothing, as refine expects it: from 0.7 on it overrules the colour, and so may only where the
 * network is sure. Where its grid is coarse it is also sure of what lies just beyond an edge.
 */
function soften(likely: Float32Array, inside: Uint8Array): Float32Array {
  const colours = new Float32Array(likely.length * 3)
  for (let i = 0; i < likely.length; i++) {
    const value = likely[i] ?? 0
    const upper = 0.5 + ((Math.min(value, SURE) - PRODUCT) / (SURE - PRODUCT)) * 0.2
    const surely = inside[i] ? (Math.max(0, value - SURE) / (1 - SURE)) * 0.3 : 0
    colours[i * 3] = value < PRODUCT ? value : upper + surely
  }
  return colours
}

/** A grid that is finer than the mask is made as coarse, so that nothing thin falls between two pixels. */
async function reduce(seen: Likelihood, { width, height }: Size): Promise<Likelihood> {
  if (seen.width <= width && seen.height <= height) return seen
  const size = { width: Math.min(width, seen.width), height: Math.min(height, seen.height) }
  const data = await sharp(seen.data, { raw: { width: seen.width, height: seen.height, channels: 1 } })
    .resize(size.width, size.height, { fit: 'fill', kernel: 'linear' })
    .extractChannel(0)
    .raw()
    .toBuffer()
  return { data, ...size }
}

/** The likelihood of each pixel of the mask, 0 to 1. The library would enlarge it by half a pixel aside. */
function resize(seen: Likelihood, { width, height }: Size): Float32Array {
  const colours = new Float32Array(seen.data.length * 3)
  for (let i = 0; i < seen.data.length; i++) colours[i * 3] = (seen.data[i] ?? 0) / 255
  const at = bilinear(colours, seen)
  const [across, down] = [seen.width / width, seen.height / height]
  const likely = new Float32Array(width * height)
  for (let i = 0; i < likely.length; i++) {
    const x = i % width
    likely[i] = at((x + 0.5) * across - 0.5, ((i - x) / width + 0.5) * down - 0.5)[0] ?? 0
  }
  return likely
}
