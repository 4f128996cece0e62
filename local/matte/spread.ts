import type { Size } from './plane.ts'

/**
 * Fills pixels of unknown colour from the nearest known ones, by a pyramid of averages on the way down and interpolation on
 * the way up. With `smooth` levels > 0, detail finer than 2^smooth pixels is dropped from the known ones too.
 */
export function spread(colour: Float32Array, known: Float32Array, { width, height }: Size, smooth = 0): Float32Array {
  const out = new Float32Array(colour.length)
  if (width <= 1 && height <= 1) {
    out.set(colour)
    return out
  }
  const half = { width: (width + 1) >> 1, height: (height + 1) >> 1 }
  const sums = new Float32Array(half.width * half.height * 3)
  const weights = new Float32Array(half.width * half.height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      const w = known[i] ?? 0
      if (w === 0) continue
      const j = (y >> 1) * half.width + (x >> 1)
      weights[j] = (weights[j] ?? 0) + w
      for (let c = 0; c < 3; c++) sums[j * 3 + c] = (sums[j * 3 + c] ?? 0) + w * (colour[i * 3 + c] ?? 0)
    }
  }
  for (let j = 0; j < weights.length; j++) {
    const w = weights[j] ?? 0
    if (w === 0) continue
    for (let c = 0; c < 3; c++) sums[j * 3 + c] = (sums[j * 3 + c] ?? 0) / w
    weights[j] = smooth > 0 ? w / 4 : 1
  }
  const coarse = spread(sums, weights, half, smooth - 1)
  for (let y = 0; y < height; y++) {
    // A pixel lies a quarter of the way to the next coarse one, above or below, left or right.
    const near = (y >> 1) * half.width
    const next = Math.min(half.height - 1, Math.max(0, (y >> 1) + (y & 1 ? 1 : -1))) * half.width
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      const k = i * 3
      if (smooth <= 0 && (known[i] ?? 0) > 0) {
        out[k] = colour[k] ?? 0
        out[k + 1] = colour[k + 1] ?? 0
        out[k + 2] = colour[k + 2] ?? 0
        continue
      }
      const u = x >> 1
      const v = Math.min(half.width - 1, Math.max(0, u + (x & 1 ? 1 : -1)))
      const [p, q, r, s] = [(near + u) * 3, (near + v) * 3, (next + u) * 3, (next + v) * 3]
      for (let c = 0; c < 3; c++)
        out[k + c] =
          (9 * (coarse[p + c] ?? 0) + 3 * ((coarse[q + c] ?? 0) + (coarse[r + c] ?? 0)) + (coarse[s + c] ?? 0)) / 16
    }
  }
  return out
}

/** Reads a plane of colours between its pixels. The result is reused by the next call. */
export function bilinear(colour: Float32Array, { width, height }: Size): (x: number, y: number) => Float32Array {
  const out = new Float32Array(3)
  return (x, y) => {
    const cx = Math.min(Math.max(x, 0), width - 1)
    const cy = Math.min(Math.max(y, 0), height - 1)
    const x0 = Math.floor(cx)
    const y0 = Math.floor(cy)
    const fx = cx - x0
    const fy = cy - y0
    const right = x0 + 1 < width ? 3 : 0
    const i = (y0 * width + x0) * 3
    const j = y0 + 1 < height ? i + width * 3 : i
    for (let c = 0; c < 3; c++) {
      const top = (colour[i + c] ?? 0) * (1 - fx) + (colour[i + right + c] ?? 0) * fx
      const bottom = (colour[j + c] ?? 0) * (1 - fx) + (colour[j + right + c] ?? 0) * fx
      out[c] = top * (1 - fy) + bottom * fy
    }
    return out
  }
}
