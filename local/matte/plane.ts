/** The size of a plane: an array of width*height values, or of three interleaved values per pixel if they are colours. */
export interface Size {
  width: number
  height: number
}

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

/** The set grown by `radius` pixels to every side (a square). */
export function grow(set: Uint8Array, size: Size, radius: number): Uint8Array {
  return grown(set, 1, size, radius)
}

/** 1 where a pixel within reach has that value. */
function grown(set: Uint8Array, value: 0 | 1, { width, height }: Size, radius: number): Uint8Array {
  const rows = new Uint8Array(set.length)
  for (let y = 0; y < height; y++) {
    const [first, last] = [y * width, y * width + width - 1]
    // So many more pixels are within reach of the last one seen, or of one that comes.
    let reach = 0
    for (let i = first; i <= last; i++) {
      if (set[i] === value) reach = radius + 1
      if (reach > 0) rows[i] = 1
      reach--
    }
    reach = 0
    for (let i = last; i >= first; i--) {
      if (set[i] === value) reach = radius + 1
      if (reach > 0) rows[i] = 1
      reach--
    }
  }
  const out = rows.slice()
  for (let d = 1; d <= radius; d++) {
    // Reading outside of an array takes a hundred times as long.
    const by = Math.min(d * width, out.length)
    for (let i = by; i < out.length; i++) if (rows[i - by]) out[i] = 1
    for (let i = by; i < out.length; i++) if (rows[i]) out[i - by] = 1
  }
  return out
}

/** The set without the pixels that lie within `radius` of a pixel outside it; the picture's edge does not count. */
export function shrink(set: Uint8Array, size: Size, radius: number): Uint8Array {
  const out = grown(set, 0, size, radius)
  for (let i = 0; i < out.length; i++) out[i] = out[i] ? 0 : 1
  return out
}

export function invert(set: Uint8Array): Uint8Array {
  const out = new Uint8Array(set.length)
  for (let i = 0; i < out.length; i++) out[i] = set[i] ? 0 : 1
  return out
}

export function union(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = a[i] || b[i] ? 1 : 0
  return out
}

export function common(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = a[i] && b[i] ? 1 : 0
  return out
}

export function without(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = a[i] && !b[i] ? 1 : 0
  return out
}

export function count(set: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < set.length; i++) sum += set[i] ?? 0
  return sum
}

/** The distance of each pixel from the nearest one of the set, in thirds of a pixel (chamfer distance, two passes). */
export function distances(set: Uint8Array, { width, height }: Size): Int32Array {
  const far = new Int32Array(set.length)
  for (let i = 0; i < far.length; i++) far[i] = set[i] ? 0 : 100_000
  const pass = (from: number, to: number, by: number) => {
    for (let i = from; i !== to; i += by) {
      const x = i % width
      let d = far[i] ?? 0
      if (d === 0) continue
      const back = i - by * width
      if (back >= 0 && back < far.length) {
        d = Math.min(d, (far[back] ?? 0) + 3)
        if (x > 0) d = Math.min(d, (far[back - 1] ?? 0) + 4)
        if (x < width - 1) d = Math.min(d, (far[back + 1] ?? 0) + 4)
      }
      if (by > 0 ? x > 0 : x < width - 1) d = Math.min(d, (far[i - by] ?? 0) + 3)
      far[i] = d
    }
  }
  pass(0, width * height, 1)
  pass(width * height - 1, -1, -1)
  return far
}

/** Adds to `set`, in place, every pixel that can be reached from it through 4-neighbours which are `open`. */
export function flood(set: Uint8Array, open: Uint8Array, { width, height }: Size): void {
  const stack: number[] = []
  for (let i = 0; i < set.length; i++) if (set[i]) stack.push(i)
  const visit = (i: number) => {
    if (set[i] || !open[i]) return
    set[i] = 1
    stack.push(i)
  }
  for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
    const x = i % width
    if (x > 0) visit(i - 1)
    if (x < width - 1) visit(i + 1)
    if (i >= width) visit(i - width)
    if (i < width * (height - 1)) visit(i + width)
  }
}

/** A little blur: weights 1, 2, 1 across and down. The planes lie interleaved. */
export function smooth(planes: Float32Array, { width, height }: Size, count: number): Float32Array {
  const out = new Float32Array(planes.length)
  const row = width * count
  const rows = new Float32Array(planes.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < row; x++) {
      const i = y * row + x
      const own = planes[i] ?? 0
      rows[i] =
        (2 * own + (x >= count ? (planes[i - count] ?? 0) : own) + (x < row - count ? (planes[i + count] ?? 0) : own)) /
        4
    }
  }
  for (let i = 0; i < out.length; i++) {
    const own = rows[i] ?? 0
    out[i] =
      (2 * own + (i >= row ? (rows[i - row] ?? 0) : own) + (i < rows.length - row ? (rows[i + row] ?? 0) : own)) / 4
  }
  return out
}

/** The connected parts of a set (4-neighbours), each as the list of its pixels. */
export function parts(set: Uint8Array, { width, height }: Size): Int32Array[] {
  const left = set.slice()
  const queue = new Int32Array(set.length)
  const found: Int32Array[] = []
  const last = width * (height - 1)
  for (let start = 0; start < left.length; start++) {
    if (!left[start]) continue
    left[start] = 0
    queue[0] = start
    let count = 1
    const visit = (j: number) => {
      if (!left[j]) return
      left[j] = 0
      queue[count++] = j
    }
    for (let n = 0; n < count; n++) {
      const i = queue[n] ?? 0
      const x = i % width
      if (x > 0) visit(i - 1)
      if (x < width - 1) visit(i + 1)
      if (i >= width) visit(i - width)
      if (i < last) visit(i + width)
    }
    found.push(queue.slice(0, count))
  }
  return found
}
