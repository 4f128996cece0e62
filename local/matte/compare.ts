/** How a picture differs from its backdrop, for each pixel. */
export interface Difference {
  /** From the backdrop's colour, in levels. */
  distance: Float32Array
  /** How much of the backdrop's light is left, if the pixel is backdrop in shadow. */
  light: Float32Array
  /** How far the colour is from any that backdrop in shadow has; 1 is as far as that may be. */
  strange: Float32Array
}

/** How much of the backdrop's light a shadow may swallow and still be taken for a shadow. */
const DARKEST_SHADOW = 0.85
/** How much brighter than the model a lit spot of the backdrop may be. */
const BRIGHTEST = 0.12
/** A deep shadow takes on the colour of what casts it: so many levels its hue may be off at full depth. */
const TINTED = 12

export function compare(pixels: Float32Array, behind: Float32Array, noise: number): Difference {
  const n = pixels.length / 3
  const out = { distance: new Float32Array(n), light: new Float32Array(n), strange: new Float32Array(n) }
  const hue = Math.min(18, Math.max(6, 2.5 * noise))
  for (let i = 0, k = 0; i < n; i++, k += 3) {
    const r = pixels[k] ?? 0
    const g = pixels[k + 1] ?? 0
    const b = pixels[k + 2] ?? 0
    const br = behind[k] ?? 0
    const bg = behind[k + 1] ?? 0
    const bb = behind[k + 2] ?? 0
    out.distance[i] = Math.sqrt((r - br) ** 2 + (g - bg) ** 2 + (b - bb) ** 2)
    const light = (r * br + g * bg + b * bb) / (br * br + bg * bg + bb * bb + 1)
    out.light[i] = light
    const l = Math.min(1 + BRIGHTEST, Math.max(1 - DARKEST_SHADOW, light))
    const off = Math.sqrt((r - l * br) ** 2 + (g - l * bg) ** 2 + (b - l * bb) ** 2)
    out.strange[i] = off / (hue + Math.max(0, 1 - l) * TINTED)
  }
  return out
}
