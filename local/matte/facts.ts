import type { Difference } from './compare.ts'
import type { Size } from './plane.ts'
import type { Regions } from './region.ts'

/** What is known of a region. Shares are of its core: the pixels whose neighbours belong to it too. */
export interface Facts {
  area: number
  /** Pixels on the picture's border. */
  rim: number
  /** Of them, those of the backdrop's colour. */
  plainRim: number
  /** The share that has the backdrop's colour. */
  plain: number
  /** The share that can be no backdrop, not even in shadow. */
  strange: number
  /** Distance from the backdrop's colour, on average. */
  off: number
  /** How much of the backdrop's light is left, on average, and how much that varies. */
  light: number
  spread: number
  left: number
  right: number
  top: number
  bottom: number
}

export function factsOf(
  { label, count }: Regions,
  { distance, strange, light }: Difference,
  edge: Float32Array,
  plain: number,
  { width, height }: Size,
) {
  const facts = Array.from({ length: count + 1 }, (): Facts & { core: number } => ({
    area: 0,
    rim: 0,
    plainRim: 0,
    plain: 0,
    off: 0,
    strange: 0,
    light: 0,
    spread: 0,
    core: 0,
    left: width,
    right: 0,
    top: height,
    bottom: 0,
  }))
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const a = label[i] ?? 0
      const f = facts[a]
      if (!f) continue
      const like = (distance[i] ?? 0) < plain
      f.area++
      if (x < f.left) f.left = x
      if (x > f.right) f.right = x
      if (y < f.top) f.top = y
      if (y > f.bottom) f.bottom = y
      const onBorder = x === 0 || y === 0 || x === width - 1 || y === height - 1
      if (onBorder) {
        f.rim++
        if (like) f.plainRim++
      }
      // Pixels at the edge of a region are blends of two colours.
      const inner =
        !onBorder &&
        (edge[i] ?? 0) < 2 &&
        label[i - 1] === a &&
        label[i + 1] === a &&
        label[i - width] === a &&
        label[i + width] === a
      const weight = inner ? 1 : 0.01
      const l = light[i] ?? 0
      f.core += weight
      f.light += weight * l
      f.off += weight * (distance[i] ?? 0)
      f.spread += weight * l * l
      if (like) f.plain += weight
      if ((strange[i] ?? 0) > 1) f.strange += weight
    }
  }
  for (const f of facts) {
    const core = f.core || 1
    f.light /= core
    f.off /= core
    f.spread = Math.sqrt(Math.max(0, f.spread / core - f.light * f.light))
    f.plain /= core
    f.strange /= core
  }
  return facts
}
