import { fitModel, type Model, type Sample, valueAt } from './fit.ts'
import type { Size } from './plane.ts'

/** A smooth backdrop: its colour at each pixel (three interleaved values, 0 to 255) and how far real pixels stray from it. */
export interface Backdrop {
  colour: Float32Array
  /** Median distance of the border's pixels from the model, in the same unit as the colour. */
  noise: number
}

/** So far around the horizon, in parts of the height, wall and floor may blend. */
const BLEND = 0.15
/** By so much the blend may be another one than at the sides: a horizon is seldom quite straight. */
const SLACK = 0.12

/**
 * Models the backdrop from the colours along the border: one smooth plane, or a wall and a floor that meet in a straight line.
 * A product that runs out of the picture occupies a part of the border and must not bend the model.
 */
export function fitBackdrop(pixels: Float32Array, size: Size): Backdrop {
  const border = borderOf(pixels, size)
  const main = fitModel(border)
  const { width, height } = size
  const horizon = findHorizon(border, main, size)
  const colour = new Float32Array(pixels.length)
  if (!horizon) {
    paint(colour, main, size)
    return { colour, noise: main.noise }
  }
  const { wall, floor } = horizon
  const blend = blendOf(pixels, horizon, size)
  const reach = (blend.length - 1) / 2
  const [above, below] = [
    [0, 0, 0],
    [0, 0, 0],
  ]
  for (let y = 0, k = 0; y < height; y++) {
    for (let x = 0; x < width; x++, k += 3) {
      const at = Math.min(2 * reach - 1, Math.max(0, y - lineAt(horizon, x, width) + reach))
      const low = Math.floor(at)
      let part = (blend[low] ?? 0) * (low + 1 - at) + (blend[low + 1] ?? 0) * (at - low)
      valueAt(wall, x / width, y / height, above)
      valueAt(floor, x / width, y / height, below)
      if (part > 0 && part < 1) part = Math.min(part + SLACK, Math.max(part - SLACK, share(pixels, k, above, below)))
      for (let c = 0; c < 3; c++) colour[k + c] = (1 - part) * (above[c] ?? 0) + part * (below[c] ?? 0)
    }
  }
  return { colour, noise: Math.max(wall.noise, floor.noise) }
}

function paint(colour: Float32Array, model: Model, { width, height }: Size): void {
  const value = [0, 0, 0]
  for (let y = 0, k = 0; y < height; y++) {
    for (let x = 0; x < width; x++, k += 3) {
      valueAt(model, x / width, y / height, value)
      for (let c = 0; c < 3; c++) colour[k + c] = value[c] ?? 0
    }
  }
}

/** Some pixels of a frame 3 % wide. A product stands on the floor more often than it hangs from above: upper pixels count more. */
function borderOf(pixels: Float32Array, { width, height }: Size): Sample[] {
  const frame = Math.max(1, Math.round(Math.min(width, height) * 0.03))
  const step = width * height > 20_000 ? 17 : 1
  const border: Sample[] = []
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (Math.min(x, y, width - 1 - x, height - 1 - y) >= frame || (x + 5 * y) % step !== 0) continue
      const k = (y * width + x) * 3
      const colour = [pixels[k] ?? 0, pixels[k + 1] ?? 0, pixels[k + 2] ?? 0] as const
      border.push({ x: x / width, y: y / height, colour, prior: 1.4 - (0.8 * y) / height })
    }
  }
  return border
}

interface Horizon {
  wall: Model
  floor: Model
  /** Where it meets the left and the right side, in pixels. */
  left: number
  right: number
}

const lineAt = ({ left, right }: Horizon, x: number, width: number) => left + ((right - left) * x) / width

/** On both sides the model holds down to some height and not below (or the other way round): there another plane begins. */
function findHorizon(border: Sample[], main: Model, { height }: Size): Horizon | undefined {
  const off = (sample: Sample) => distance(sample, main) > Math.max(6, 4 * main.noise)
  for (const isFloor of [true, false]) {
    const left = split(
      border.filter(({ x }) => x < 0.035),
      (sample) => off(sample) === isFloor,
    )
    const right = split(
      border.filter(({ x }) => x > 0.965),
      (sample) => off(sample) === isFloor,
    )
    if (left === undefined || right === undefined || Math.abs(left - right) > 0.15) continue
    const beyond = border.filter(({ x, y }) => y > left + (right - left) * x === isFloor)
    const second = fitModel(beyond)
    const held = beyond.filter((sample) => distance(sample, second) < Math.max(8, 4 * second.noise))
    if (held.length < 0.6 * beyond.length) continue
    const [wall, floor] = isFloor ? [main, second] : [second, main]
    // Where a soft horizon ends is a matter of noise, and where it is half way is not.
    const [from, to] = [left, right].map((at, n) =>
      half(
        border.filter(({ x }) => (n ? x > 0.965 : x < 0.035)),
        wall,
        floor,
        at,
      ),
    )
    return { wall, floor, left: (from ?? left) * height, right: (to ?? right) * height }
  }
  return undefined
}

/** The height near `at` where a side has as much of the floor's colour as of the wall's. */
function half(side: Sample[], wall: Model, floor: Model, at: number): number {
  const near = side.filter(({ y }) => Math.abs(y - at) < BLEND / 1.5)
  return split(near, (sample) => distance(sample, floor) < distance(sample, wall)) ?? at
}

function distance({ x, y, colour }: Sample, model: Model): number {
  const value = valueAt(model, x, y, [0, 0, 0])
  return Math.hypot(colour[0] - (value[0] ?? 0), colour[1] - (value[1] ?? 0), colour[2] - (value[2] ?? 0))
}

/** The height at which samples of a side stop being above and begin to be below; undefined if they do not. */
function split(side: Sample[], isBelow: (sample: Sample) => boolean): number | undefined {
  const sorted = side.toSorted((a, b) => a.y - b.y).map((sample) => ({ y: sample.y, below: isBelow(sample) }))
  const all = sorted.filter(({ below }) => below).length
  let [wrong, best, at] = [sorted.length - all, sorted.length, 0]
  for (const { y, below } of sorted) {
    wrong += below ? 1 : -1
    if (wrong < best) [best, at] = [wrong, y]
  }
  // With everything "below" the count starts at its best; then there is no line to be seen.
  return best < 0.12 * sorted.length && at > 0.1 && at < 0.96 ? at : undefined
}

/** Where the colour at `k` is on the way from one colour to another. */
function share(pixels: Float32Array, k: number, from: number[], to: number[]): number {
  let [along, whole] = [0, 1]
  for (let c = 0; c < 3; c++) {
    const axis = (to[c] ?? 0) - (from[c] ?? 0)
    along += axis * ((pixels[k + c] ?? 0) - (from[c] ?? 0))
    whole += axis * axis
  }
  return Math.min(1, Math.max(0, along / whole))
}

/** How wall turns into floor around the horizon, measured at both sides of the picture: 0 above, 1 below. */
function blendOf(pixels: Float32Array, horizon: Horizon, { width, height }: Size): Float32Array {
  const reach = Math.round(BLEND * height)
  const sums = new Float32Array(2 * reach + 1)
  const counts = new Float32Array(2 * reach + 1)
  const frame = Math.max(1, Math.round(width * 0.03))
  const [above, below] = [
    [0, 0, 0],
    [0, 0, 0],
  ]
  for (let y = 0; y < height; y++) {
    for (let n = 0; n < 2 * frame; n++) {
      const x = n < frame ? n : width - 1 - (n - frame)
      const d = Math.round(y - lineAt(horizon, x, width))
      if (Math.abs(d) > reach) continue
      valueAt(horizon.wall, x / width, y / height, above)
      valueAt(horizon.floor, x / width, y / height, below)
      sums[d + reach] = (sums[d + reach] ?? 0) + share(pixels, (y * width + x) * 3, above, below)
      counts[d + reach] = (counts[d + reach] ?? 0) + 1
    }
  }
  let last = 0
  return sums.map((sum, d) => {
    const part = (counts[d] ?? 0) > 0 ? sum / (counts[d] ?? 1) : d < reach ? 0 : 1
    last = Math.max(last, d === 2 * reach ? 1 : part < 0.04 ? 0 : part > 0.96 ? 1 : part)
    return last
  })
}
