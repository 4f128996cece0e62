import type { Difference } from './compare.ts'
import { grow, parts, type Size } from './plane.ts'

/** A pixel so many levels off what lies on both sides of it is no backdrop; less is noise, or the end of a shadow. */
const OFF = 12
/** Fewer such pixels in one piece are dust. */
const SPECK = 6
/** So near to the lowest part of the product, fewer pixels that might be shadow are where its contact shadow is darkest. */
const FOOT = 4
const LOW = 0.12
const DARKEST = 30

/**
 * Wires, straps and stalks may be thinner than any region. They are the pixels of the backdrop that have an edge and differ
 * clearly from the backdrop beside them (`behind`, which knows its shadows, because it comes from pixels without an edge). A
 * hard shadow's outline is such a pixel too; `shadow` is where it may be. Adds them to `product`, in place.
 */
export function addThin(
  product: Uint8Array,
  pixels: Float32Array,
  behind: Float32Array,
  { strange, light }: Difference,
  edge: Float32Array,
  shadow: Uint8Array,
  noise: number,
  size: Size,
): void {
  const least = Math.max(OFF, 6 * noise)
  const near = grow(shadow, size, 3)
  const thin = new Uint8Array(product.length)
  for (let i = 0, k = 0; i < thin.length; i++, k += 3) {
    if (product[i] || (edge[i] ?? 0) < 1.5) continue
    const red = (pixels[k] ?? 0) - (behind[k] ?? 0)
    const green = (pixels[k + 1] ?? 0) - (behind[k + 1] ?? 0)
    const blue = (pixels[k + 2] ?? 0) - (behind[k + 2] ?? 0)
    if (red * red + green * green + blue * blue < least * least) continue
    if ((strange[i] ?? 0) > 1.2 || !near[i]) thin[i] = 1
  }
  const [top, bottom] = [product.indexOf(1), product.lastIndexOf(1)]
  const low = bottom - LOW * (bottom - top)
  const foot = grow(product, size, FOOT)
  const isShadow = (i: number) => i > low && foot[i] === 1 && (strange[i] ?? 0) < 1 && (light[i] ?? 0) < 1
  for (const part of parts(thin, size)) {
    if (part.length < SPECK || (part.length < DARKEST && part.every(isShadow))) continue
    for (const i of part) product[i] = 1
  }
}
