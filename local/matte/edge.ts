import type { Size } from './plane.ts'

/** Brightness range nearby that a sharp edge crosses within two pixels: less is a shadow's soft end, more a real outline. */
const SOFT = 0.36
const SHARP = 0.56
/** Colour distance to levels: a step of so many levels in all three channels is √3 times as far. */
const LEVELS = 0.6

/**
 * How much sharper than its surroundings a pixel's colour changes, in levels, without what noise makes of it. A steady slope
 * (a gradient, the shading of a round thing, a penumbra) counts nothing; nor does a change that is as soft as a shadow's end,
 * but where one side can be no backdrop in shadow (`strange` above 1). `grain` is what is left of the noise.
 */
export function edgeStrength(
  pixels: Float32Array,
  strange: Float32Array,
  noise: number,
  size: Size,
): { edge: Float32Array; grain: number } {
  const { width, height } = size
  const edge = new Float32Array(width * height)
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x
      const across = step(pixels, i, 1, Math.min(x, width - 1 - x))
      const down = step(pixels, i, width, Math.min(y, height - 1 - y))
      edge[i] = Math.max(across, down) * LEVELS
    }
  }
  const own = 1.5 * alongBorder(edge, size)[0]
  const range = rangeIn(pixels, size)
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x
      const strength = (edge[i] ?? 0) - own
      // What is weak is taken by half, because to look closer takes time.
      if (strength < 0.6) edge[i] = strength <= 0 ? 0 : strength / 2
      else edge[i] = strength * Math.max(range.sharpness(i, x, y, noise), oddness(strange, i, width))
    }
  }
  return { edge, grain: alongBorder(edge, size)[1] }
}

/** The change over two pixels less that beside it on both sides. `room`: distance to the picture's border. */
function step(pixels: Float32Array, i: number, by: number, room: number): number {
  const inner = change(pixels, i - by, i + by)
  // What is weak here will not matter, but as a part of the noise.
  if (room < 4 || inner < 0.5) return inner
  return inner - 0.5 * (change(pixels, i - 4 * by, i - 2 * by) + change(pixels, i + 2 * by, i + 4 * by))
}

function change(pixels: Float32Array, from: number, to: number): number {
  const [a, b] = [from * 3, to * 3]
  const red = (pixels[b] ?? 0) - (pixels[a] ?? 0)
  const green = (pixels[b + 1] ?? 0) - (pixels[a + 1] ?? 0)
  const blue = (pixels[b + 2] ?? 0) - (pixels[a + 2] ?? 0)
  return Math.sqrt(red * red + green * green + blue * blue)
}

/** 1 where a pixel or one beside it can be no backdrop in shadow. */
function oddness(strange: Float32Array, i: number, width: number): number {
  const near = Math.max(strange[i - 1] ?? 0, strange[i] ?? 0, strange[i + 1] ?? 0)
  return clamp(Math.max(near, strange[i - width] ?? 0, strange[i + width] ?? 0) - 1)
}

function rangeIn(pixels: Float32Array, { width, height }: Size) {
  const light = new Float32Array(width * height)
  for (let i = 0, k = 0; i < light.length; i++, k += 3)
    light[i] = 0.3 * (pixels[k] ?? 0) + 0.5 * (pixels[k + 1] ?? 0) + 0.2 * (pixels[k + 2] ?? 0)
  return {
    /** How sharp the brightness changes: 0 as a shadow's end, 1 as an outline. */
    sharpness(i: number, x: number, y: number, noise: number): number {
      let [most, least] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
      for (let v = Math.max(0, y - 3); v <= Math.min(height - 1, y + 3); v++) {
        const last = v * width + Math.min(width - 1, x + 3)
        for (let j = v * width + Math.max(0, x - 3); j <= last; j++) {
          const l = light[j] ?? 0
          if (l > most) most = l
          if (l < least) least = l
        }
      }
      const dx = (light[i + 1] ?? 0) - (light[i - 1] ?? 0)
      const dy = (light[i + width] ?? 0) - (light[i - width] ?? 0)
      const range = Math.max(most - least - 2 * noise, 1)
      return clamp((Math.sqrt(dx * dx + dy * dy) / range - SOFT) / (SHARP - SOFT))
    },
  }
}

/** Median and mean of the lower nine tenths along the picture's border, most of which is backdrop: what noise makes of it. */
function alongBorder(strength: Float32Array, { width, height }: Size): [median: number, mean: number] {
  const frame = Math.max(2, Math.round(Math.min(width, height) * 0.04))
  const some: number[] = []
  for (let y = 1; y < height - 1; y++) {
    const whole = y < frame || y >= height - frame
    for (let x = 1; x < width - 1; x++) {
      if (!whole && x === frame) x = Math.max(frame, width - frame)
      if ((x + y) % 3 === 0) some.push(strength[y * width + x] ?? 0)
    }
  }
  const sorted = Float32Array.from(some).sort()
  const lower = sorted.subarray(0, Math.ceil(sorted.length * 0.9))
  return [Math.max(0, sorted[sorted.length >> 1] ?? 0), lower.reduce((sum, v) => sum + v, 0) / (lower.length || 1)]
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value))
