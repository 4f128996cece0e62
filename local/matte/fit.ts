/** A pixel of the border: place in parts of the picture's sides, colour, and how likely it is backdrop before it is looked at. */
export interface Sample {
  x: number
  y: number
  colour: readonly [number, number, number]
  prior: number
}

/** A polynomial of degree 0, 1 or 2 in x and y for each channel. */
export interface Model {
  channels: readonly [number[], number[], number[]]
  terms: number
  /** Median distance of the samples that the model holds for. */
  noise: number
}

/** Numbers of terms of a constant, a linear and a quadratic polynomial in two variables. */
const DEGREES = [1, 3, 6] as const
const ROUNDS = 5
/** From so many levels down to the noise, what is farther away counts less and less; a backdrop's light falls off by as much. */
const WIDE = [30, 16, 10] as const

/**
 * Fits a backdrop to samples of which many may be product: robust least squares (Geman and McClure's weights), first a
 * constant; a higher degree must earn itself by holding for more samples, or it would bend to the product.
 */
export function fitModel(samples: Sample[]): Model {
  const starts = [samples, samples.filter(({ y }) => y < 0.2)].filter((some) => some.length > 0).map(medianOf)
  const tried = starts.map((start) => {
    let best = constant(start)
    let [held, noise] = [0, 0]
    DEGREES.forEach((terms, degree) => {
      let model = best
      for (let round = 0; round < ROUNDS; round++) {
        const widest = (WIDE[degree] ?? 10) / 2 ** round
        const scale = Math.max(2 * Math.max(model.noise, 0.5), widest)
        model = solve(samples, model, terms, scale)
      }
      const now = share(samples, model, noise)
      if (degree > 0 && now < held + (degree === 1 ? 0.01 : 0.02) && model.noise > 0.9 * best.noise) return
      best = model
      noise = model.noise
      held = share(samples, model, noise)
    })
    return { model: best, held }
  })
  return tried.reduce(
    (a, b) => (b.held > a.held * 1.05 ? b : a),
    tried[0] ?? { model: constant([255, 255, 255]), held: 0 },
  ).model
}

/** Writes the model's colour at a place into `out`. */
export function valueAt({ channels, terms }: Model, x: number, y: number, out: number[]): number[] {
  const u = 2 * x - 1
  const v = 2 * y - 1
  for (let c = 0; c < 3; c++) {
    const m = channels[c] ?? []
    let sum = m[0] ?? 0
    if (terms > 1) sum += (m[1] ?? 0) * u + (m[2] ?? 0) * v
    if (terms > 3) sum += (m[3] ?? 0) * u * u + (m[4] ?? 0) * u * v + (m[5] ?? 0) * v * v
    out[c] = sum
  }
  return out
}

const constant = (colour: readonly number[]): Model => ({
  channels: [[colour[0] ?? 0], [colour[1] ?? 0], [colour[2] ?? 0]],
  terms: 1,
  noise: 5,
})

function medianOf(samples: Sample[]): number[] {
  return [0, 1, 2].map(
    (c) => samples.map(({ colour }) => colour[c] ?? 0).sort((a, b) => a - b)[samples.length >> 1] ?? 0,
  )
}

function distances(samples: Sample[], model: Model): Float64Array {
  const value = [0, 0, 0]
  return Float64Array.from(samples, ({ x, y, colour }) => {
    valueAt(model, x, y, value)
    let sum = 0
    for (let c = 0; c < 3; c++) sum += ((colour[c] ?? 0) - (value[c] ?? 0)) ** 2
    return Math.sqrt(sum)
  })
}

/** The part of the samples that the model holds for. */
function share(samples: Sample[], model: Model, noise: number): number {
  const limit = Math.max(4, 3.5 * (noise || model.noise))
  let [held, all] = [0, 0]
  distances(samples, model).forEach((d, i) => {
    const prior = samples[i]?.prior ?? 0
    all += prior
    if (d < limit) held += prior
  })
  return held / all
}

/** One round: weighs the samples by their distance from the model, and solves the weighted normal equations by Gauss-Jordan. */
function solve(samples: Sample[], from: Model, terms: number, scale: number): Model {
  const rows = Array.from({ length: terms }, (_, r) =>
    Array.from({ length: terms + 3 }, (_, c): number => (r === c ? 1e-6 : 0)),
  )
  const off = distances(samples, from)
  samples.forEach(({ x, y, colour, prior }, k) => {
    const w = prior / (1 + ((off[k] ?? 0) / scale) ** 2) ** 2
    const u = 2 * x - 1
    const v = 2 * y - 1
    const term = [1, u, v, u * u, u * v, v * v]
    for (let r = 0; r < terms; r++) {
      const row = rows[r] ?? []
      const wt = w * (term[r] ?? 0)
      for (let c = 0; c < terms; c++) row[c] = (row[c] ?? 0) + wt * (term[c] ?? 0)
      for (let c = 0; c < 3; c++) row[terms + c] = (row[terms + c] ?? 0) + wt * (colour[c] ?? 0)
    }
  })
  rows.forEach((row, r) => {
    const pivot = row[r] || 1
    for (let c = 0; c < row.length; c++) row[c] = (row[c] ?? 0) / pivot
    rows.forEach((other, o) => {
      if (o === r) return
      const factor = other[r] ?? 0
      for (let c = 0; c < row.length; c++) other[c] = (other[c] ?? 0) - factor * (row[c] ?? 0)
    })
  })
  const channel = (c: number) => rows.map((row) => row[terms + c] ?? 0)
  const model: Model = { channels: [channel(0), channel(1), channel(2)], terms, noise: 0 }
  const sorted = distances(samples, model).sort()
  const inside = sorted.filter((d) => d < 3 * scale)
  return { ...model, noise: inside[inside.length >> 1] ?? sorted[sorted.length >> 1] ?? 0 }
}
