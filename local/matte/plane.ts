/** The size of a plane: an array of width*height values, or of three interleaved values per pixel if they are colours. */
export interface Size {
  width: number
  height: number
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
