import { maximum, type Size } from './plane.ts'

/** Brightness range nearby that a sharp edge crosses within two pixels: less is a shadow's soft end, more a real outline. */
const SOFT = 0.36
const SHARP = 0.56

/**
 * How much sharper than its surroundings a pixel's colour changes, in levels, without what noise makes of it. A steady slope
 * (a gradient, the shading of a round thing, a penumbra) counts nothing; nor does a change that is as soft as a shadow's end,
 * but where one side can be no backdrop in shadow (`strange` above 1).
 */
export function edgeStrength(
  pixels: Float32Array,
  strange: Float32Array,
  noise: number,
  size: Size,
): { edge: Float32Array; grain: number } {
  const { width, height } = size
  const light = new Float32Array(width * height)
  for (let i = 0, k = 0; i < light.length; i++, k += 3)
    light[i] = 0.3 * (pixels[k] ?? 0) + 0.5 * (pixels[k + 1] ?? 0) + 0.2 * (pixels[k + 2] ?? 0)
  const most = maximum(light, size, 3)
  const least = maximum(
    light.map((v) => -v),
    size,
    3,
  )
  const odd = maximum(strange, size, 1)
  const out = new Float32Array(light.length)
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x
      const across = step(pixels, i, 1, Math.min(x, width - 1 - x))
      const down = step(pixels, i, width, Math.min(y, height - 1 - y))
      out[i] = Math.max(across, down) * 0.6
    }
  }
  const grain = 1.5 * alongBorder(out, size)[0]
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x
      const strength = (out[i] ?? 0) - grain
      out[i] = 0
      if (strength <= 0) continue
      const dx = (light[i + 1] ?? 0) - (light[i - 1] ?? 0)
      const dy = (light[i + width] ?? 0) - (light[i - width] ?? 0)
      const range = (most[i] ?? 0) + (least[i] ?? 0) - 2 * noise
      const sharp = clamp((Math.sqrt(dx * dx + dy * dy) / Math.max(range, 1) - SOFT) / (SHARP - SOFT))
      const trust = Math.max(sharp, clamp((odd[i] ?? 0) - 1))
      out[i] = strength * trust
    }
  }
  return { edge: out, grain: alongBorder(out, size)[1] }
}

/** Median and mean of the lower nine tenths along the picture's border, most of which is backdrop: what noise makes of it. */
function alongBorder(strength: Float32Array, { width, height }: Size): [median: number, mean: number] {
  const some: number[] = []
  const frame = Math.max(2, Math.round(Math.min(width, height) * 0.04))
  strength.forEach((v, i) => {
    const x = i % width
    const y = (i - x) / width
    const depth = Math.min(x, y, width - 1 - x, height - 1 - y)
    if (depth > 0 && depth < frame) some.push(v)
  })
  some.sort((a, b) => a - b)
  const lower = some.slice(0, Math.ceil(some.length * 0.9))
  return [Math.max(0, some[some.length >> 1] ?? 0), lower.reduce((sum, v) => sum + v, 0) / (lower.length || 1)]
}

/** The change over two pixels less that beside it on both sides. `room`: distance to the picture's border. */
function step(pixels: Float32Array, i: number, by: number, room: number): number {
  const inner = change(pixels, i - by, i + by)
  if (room < 4) return inner
  return inner - 0.5 * (change(pixels, i - 4 * by, i - 2 * by) + change(pixels, i + 2 * by, i + 4 * by))
}

function change(pixels: Float32Array, from: number, to: number): number {
  let sum = 0
  for (let c = 0; c < 3; c++) {
    const d = (pixels[to * 3 + c] ?? 0) - (pixels[from * 3 + c] ?? 0)
    sum += d * d
  }
  return Math.sqrt(sum)
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value))
