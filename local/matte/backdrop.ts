import type { Size } from './plane.ts'

/** The number of terms of a quadratic in x and y. */
const TERMS = 6
const ROUNDS = 8

/** A smooth backdrop: its colour at each pixel (three interleaved values, 0 to 255) and how far real pixels stray from it. */
export interface Backdrop {
  colour: Float32Array
  /** Median distance of the border's pixels from the model, in the same unit as the colour. */
  noise: number
}

/**
 * Fits a quadratic to the colours along the border, robustly: a product that runs out of the picture occupies a part of the
 * border and must not bend the model.
 */
export function fitBackdrop(pixels: Float32Array, size: Size): Backdrop {
  const border = borderOf(size)
  const weights = new Float64Array(border.length).fill(1)
  const distances = new Float64Array(border.length)
  let models: number[][] = []
  let noise = 0
  for (let round = 0; round < ROUNDS; round++) {
    models = solve(pixels, border, weights, size)
    border.forEach((i, k) => {
      const term = terms(i, size)
      let sum = 0
      for (let c = 0; c < 3; c++) sum += (evaluate(models[c] ?? [], term) - (pixels[i * 3 + c] ?? 0)) ** 2
      distances[k] = Math.sqrt(sum)
    })
    noise = distances.toSorted()[distances.length >> 1] ?? 0
    const scale = 2 * Math.max(noise, 0.5)
    distances.forEach((d, k) => {
      weights[k] = 1 / (1 + (d / scale) ** 2) ** 2
    })
  }
  const colour = new Float32Array(pixels.length)
  for (let i = 0; i < pixels.length / 3; i++) {
    const term = terms(i, size)
    for (let c = 0; c < 3; c++) colour[i * 3 + c] = evaluate(models[c] ?? [], term)
  }
  return { colour, noise }
}

/** Every seventh pixel of a frame 3 % wide. */
function borderOf({ width, height }: Size): number[] {
  const frame = Math.max(1, Math.round(Math.min(width, height) * 0.03))
  const border: number[] = []
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (Math.min(x, y, width - 1 - x, height - 1 - y) < frame && (x + 3 * y) % 7 === 0) border.push(y * width + x)
    }
  }
  return border
}

function terms(i: number, { width, height }: Size): number[] {
  const x = ((i % width) / width) * 2 - 1
  const y = (Math.floor(i / width) / height) * 2 - 1
  return [1, x, y, x * x, x * y, y * y]
}

function evaluate(model: number[], term: number[]): number {
  let sum = 0
  for (let t = 0; t < TERMS; t++) sum += (model[t] ?? 0) * (term[t] ?? 0)
  return sum
}

/**
 * Weighted least squares by the normal equations, one model per channel: Gauss-Jordan, with a little ridge for tiny pictures.
 */
function solve(pixels: Float32Array, border: number[], weights: Float64Array, size: Size): number[][] {
  const rows = Array.from({ length: TERMS }, (_, r) =>
    Array.from({ length: TERMS + 3 }, (_, c): number => (r === c ? 1e-6 : 0)),
  )
  border.forEach((i, k) => {
    const term = terms(i, size)
    const w = weights[k] ?? 0
    for (let r = 0; r < TERMS; r++) {
      const row = rows[r] ?? []
      const wt = w * (term[r] ?? 0)
      for (let c = 0; c < TERMS; c++) row[c] = (row[c] ?? 0) + wt * (term[c] ?? 0)
      for (let c = 0; c < 3; c++) row[TERMS + c] = (row[TERMS + c] ?? 0) + wt * (pixels[i * 3 + c] ?? 0)
    }
  })
  rows.forEach((row, r) => {
    const pivot = row[r] ?? 1
    for (let c = 0; c < row.length; c++) row[c] = (row[c] ?? 0) / pivot
    rows.forEach((other, o) => {
      if (o === r) return
      const factor = other[r] ?? 0
      for (let c = 0; c < row.length; c++) other[c] = (other[c] ?? 0) - factor * (row[c] ?? 0)
    })
  })
  return [0, 1, 2].map((c) => rows.map((row) => row[TERMS + c] ?? 0))
}
