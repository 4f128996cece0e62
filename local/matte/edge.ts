import type { Size } from './plane.ts'

/** Brightness range nearby that a sharp edge crosses within two pixels: less is a shadow's soft end, more a real outline. */
const SOFT = 0.36
const SHARP = 0.56
/** The range of 49 values of one channel, in median distances of three. */
const NOISE_RANGE = 1.5
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
  // Blurred along the edge and not across it: that halves the noise, and keeps the edge.
  const down = blurredAlong(pixels, width * 3)
  const across = blurredAlong(pixels, 3)
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x
      const vertical = step(down, i, 1, Math.min(x, width - 1 - x))
      const horizontal = step(across, i, width, Math.min(y, height - 1 - y))
      // The sign tells which of them it was.
      edge[i] = vertical > horizontal ? vertical * LEVELS : -Math.max(0, horizontal) * LEVELS
    }
  }
  const own = 1.5 * alongBorder(edge, size)[0]
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x
      const signed = edge[i] ?? 0
      const strength = Math.abs(signed) - own
      // What is weak is taken by half, because to look closer takes time.
      if (strength < 0.5) edge[i] = strength <= 0 ? 0 : strength / 2
      else {
        const sharp = sharpness(signed > 0 ? down : across, i, noise, size)
        edge[i] = strength * Math.max(sharp, oddness(strange, i, width))
      }
    }
  }
  return { edge, grain: alongBorder(edge, size)[1] }
}

/** Weights 1, 4, 6, 4, 1; `by` is how far apart neighbours lie in the array. */
function blurredAlong(planes: Float32Array, by: number): Float32Array {
  const out = planes.slice()
  for (let i = 2 * by; i < planes.length - 2 * by; i++) {
    const near = (planes[i - by] ?? 0) + (planes[i + by] ?? 0)
    const far = (planes[i - 2 * by] ?? 0) + (planes[i + 2 * by] ?? 0)
    out[i] = (6 * (planes[i] ?? 0) + 4 * near + far) / 16
  }
  return out
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

/** How sharp the colour changes, in the channel in which it changes most: 0 as at a shadow's end, 1 as at an outline. */
function sharpness(pixels: Float32Array, i: number, noise: number, { width, height }: Size): number {
  let [most, channel] = [0, 0]
  for (let c = 0; c < 3; c++) {
    const dx = (pixels[(i + 1) * 3 + c] ?? 0) - (pixels[(i - 1) * 3 + c] ?? 0)
    const dy = (pixels[(i + width) * 3 + c] ?? 0) - (pixels[(i - width) * 3 + c] ?? 0)
    const slope = dx * dx + dy * dy
    if (slope > most) [most, channel] = [slope, c]
  }
  const x = i % width
  const y = (i - x) / width
  let [high, low] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let v = Math.max(0, y - 3); v <= Math.min(height - 1, y + 3); v++) {
    const last = (v * width + Math.min(width - 1, x + 3)) * 3 + channel
    for (let j = (v * width + Math.max(0, x - 3)) * 3 + channel; j <= last; j += 3) {
      const value = pixels[j] ?? 0
      if (value > high) high = value
      if (value < low) low = value
    }
  }
  // Of 49 pixels, noise alone puts two so far apart.
  const range = Math.max(high - low - NOISE_RANGE * noise, 1)
  return clamp((Math.sqrt(most) / range - SOFT) / (SHARP - SOFT))
}

/** Median and mean of the lower nine tenths along the picture's border, most of which is backdrop: what noise makes of it. */
function alongBorder(strength: Float32Array, { width, height }: Size): [median: number, mean: number] {
  const frame = Math.max(2, Math.round(Math.min(width, height) * 0.04))
  const some: number[] = []
  for (let y = 1; y < height - 1; y++) {
    const whole = y < frame || y >= height - frame
    for (let x = 1; x < width - 1; x++) {
      if (!whole && x === frame) x = Math.max(frame, width - frame)
      if ((x + y) % 3 === 0) some.push(Math.abs(strength[y * width + x] ?? 0))
    }
  }
  const sorted = Float32Array.from(some).sort()
  const lower = sorted.subarray(0, Math.ceil(sorted.length * 0.9))
  return [Math.max(0, sorted[sorted.length >> 1] ?? 0), lower.reduce((sum, v) => sum + v, 0) / (lower.length || 1)]
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value))
