import { fitBackdrop } from './backdrop.ts'
import {
  common,
  count,
  flood,
  grow,
  invert,
  maximum,
  parts,
  type Size,
  shrink,
  spread,
  union,
  without,
} from './plane.ts'

/** What is known at the small size, from which the full size is computed. */
export interface Mask extends Size {
  /** 1 for the pixels of the product. */
  product: Uint8Array
  /** Colour of the backdrop at each pixel, shadows included, also where the product hides it. */
  behind: Float32Array
  /** Colour of the product at each pixel, extrapolated where there is no product. */
  front: Float32Array
  noise: number
}

/** How much of the backdrop's light a shadow may swallow and still be taken for a shadow. */
const DARKEST_SHADOW = 0.85
/** How much brighter than the curve through the border a lit spot of the backdrop may be. */
const BRIGHTEST = 0.15
/** A deep shadow takes on the colour of what casts it: so many levels its hue may be off at full depth. */
const TINTED = 10
/** A shadow is not followed through a gap in an edge this many pixels to either side: a low contrast breaks edges up. */
const GAP = 3
/** Noise above which the picture has no plain backdrop. */
const BUSY = 10
const ROUNDS = 5
/** Growth of the backdrop below which another round is not worth its time. */
const STABLE = 1.005
/** An edge is sharp when this part of the brightness range nearby is crossed within two pixels: shadows end softly. */
const SHARP = 0.5
const MIN_HOLE = 0.0002
const MIN_PART = 0.0003

/** Tells product from backdrop. `data` is interleaved 8-bit RGB. */
export function mask({ data, width, height }: { data: Uint8Array } & Size): Mask {
  const size = { width, height }
  const pixels = Float32Array.from(data)
  const backdrop = fitBackdrop(pixels, size)
  const limit = limits(backdrop.noise)
  const edges = sharpEdges(pixels, size, backdrop.noise)

  // A lit backdrop is no quadratic: the curve is corrected by the backdrop it has found, which finds more backdrop.
  let behind = backdrop.colour
  let open = compare(pixels, behind, limit)
  let outside = reach(open, edges, size)
  for (let round = 0, before = 0, now = count(outside); round < ROUNDS && now > before * STABLE; round++) {
    behind = correct(pixels, backdrop.colour, outside, open, size)
    open = compare(pixels, behind, limit)
    outside = reach(open, edges, size)
    before = now
    now = count(outside)
  }

  openHoles(outside, open, edges, limit, size)
  const rough = invert(outside)
  // Where an edge is faint, the flood of a shadow nibbles at it.
  const whole = union(rough, without(shrink(grow(rough, size, GAP), size, GAP), open.plain))
  const product = withoutSpecks(whole, open, size)
  const under = spread(pixels, Float32Array.from(shrink(invert(product), size, 2)), size)
  const front = spread(pixels, Float32Array.from(shrink(product, size, 2)), size)
  peel(product, pixels, under, front, size)
  return { ...size, product, behind: under, front, noise: backdrop.noise }
}

/**
 * The outline lies where backdrop begins to change, on the outer foot of a blurred edge; it is moved in, in place, to where
 * product prevails.
 */
function peel(product: Uint8Array, pixels: Float32Array, behind: Float32Array, front: Float32Array, size: Size): void {
  for (let step = 0; step < 2; step++) {
    const inner = shrink(product, size, 1)
    for (let i = 0, k = 0; i < product.length; i++, k += 3) {
      if (!product[i] || inner[i]) continue
      let along = 0
      let whole = 0
      for (let c = k; c < k + 3; c++) {
        const axis = (front[c] ?? 0) - (behind[c] ?? 0)
        along += axis * ((pixels[c] ?? 0) - (behind[c] ?? 0))
        whole += axis * axis
      }
      if (whole > 400 && along < 0.4 * whole) product[i] = 0
    }
  }
}

interface Limits {
  /** Farther than this from the backdrop's colour is product, unless it is shadow. */
  plain: number
  /** A shadow keeps the backdrop's hue this closely. Negative: nothing is taken for a shadow. */
  hue: number
}

/**
 * Light products on white differ by a few levels only, so the limit follows the noise of the picture down. A scene without a
 * plain backdrop fits no curve; looking for shadows in it would eat the subject.
 */
function limits(noise: number): Limits {
  const plain = Math.min(Math.max(3.5 * noise, 4), 30)
  return { plain, hue: noise > BUSY ? -TINTED : Math.max(plain, 6) }
}

/** For each pixel, whether it may be plain backdrop or backdrop in shadow, and how far its colour is from the backdrop's. */
interface Open {
  plain: Uint8Array
  shade: Uint8Array
  distance: Float32Array
}

function compare(pixels: Float32Array, behind: Float32Array, { plain, hue }: Limits): Open {
  const n = pixels.length / 3
  const open = { plain: new Uint8Array(n), shade: new Uint8Array(n), distance: new Float32Array(n) }
  for (let i = 0, k = 0; i < n; i++, k += 3) {
    const r = pixels[k] ?? 0
    const g = pixels[k + 1] ?? 0
    const b = pixels[k + 2] ?? 0
    const br = behind[k] ?? 0
    const bg = behind[k + 1] ?? 0
    const bb = behind[k + 2] ?? 0
    const distance = length(r - br, g - bg, b - bb)
    open.distance[i] = distance
    if (distance < plain) {
      open.plain[i] = 1
      open.shade[i] = 1
      continue
    }
    const light = (r * br + g * bg + b * bb) / (br * br + bg * bg + bb * bb + 1)
    if (light > 1 + BRIGHTEST || light < 1 - DARKEST_SHADOW) continue
    const tint = length(r - light * br, g - light * bg, b - light * bb)
    if (tint < hue + (1 - light) * TINTED) open.shade[i] = 1
  }
  return open
}

/** Math.hypot is many times slower. */
function length(a: number, b: number, c: number): number {
  return Math.sqrt(a * a + b * b + c * c)
}

function sharpEdges(pixels: Float32Array, size: Size, noise: number): Uint8Array {
  const { width, height } = size
  const light = new Float32Array(width * height)
  for (let i = 0; i < light.length; i++) {
    light[i] = ((pixels[i * 3] ?? 0) + 2 * (pixels[i * 3 + 1] ?? 0) + (pixels[i * 3 + 2] ?? 0)) / 4
  }
  const most = maximum(light, size, 3)
  const least = maximum(
    light.map((v) => -v),
    size,
    3,
  )
  const edges = new Uint8Array(light.length)
  const floor = Math.max(5, 4 * noise)
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x
      const dx = (light[i + 1] ?? 0) - (light[i - 1] ?? 0)
      const dy = (light[i + width] ?? 0) - (light[i - width] ?? 0)
      const slope = length(dx, dy, 0)
      if (slope > floor && slope > SHARP * ((most[i] ?? 0) + (least[i] ?? 0))) edges[i] = 1
    }
  }
  return edges
}

/** The backdrop that is reached from the border over backdrop and shadow, but not through a sharp edge or a gap in one. */
function reach(open: Open, edges: Uint8Array, size: Size): Uint8Array {
  const way = without(open.shade, edges)
  const flat = without(open.plain, edges)
  const wide = union(shrink(flat, size, 1), shrink(way, size, GAP))
  const { width, height } = size
  let seen: Uint8Array = new Uint8Array(width * height)
  for (let i = 0; i < seen.length; i++) {
    const x = i % width
    const onBorder = x === 0 || x === width - 1 || i < width || i >= width * (height - 1)
    if (onBorder && flat[i] && wide[i]) seen[i] = 1
  }
  flood(seen, wide, size)
  for (let step = 1; step < GAP; step++) seen = common(grow(seen, size, 1), way)
  return common(grow(seen, size, 1), union(way, open.plain))
}

/** The curve bent to the backdrop that was found, coarsely, so that no product edge and no shadow gets into it. */
function correct(pixels: Float32Array, behind: Float32Array, outside: Uint8Array, open: Open, size: Size) {
  const sure = shrink(common(outside, open.plain), size, 2)
  const off = pixels.slice()
  for (let k = 0; k < off.length; k++) off[k] = (off[k] ?? 0) - (behind[k] ?? 0)
  const smooth = spread(off, Float32Array.from(sure), size, 4)
  for (let k = 0; k < off.length; k++) smooth[k] = (smooth[k] ?? 0) + (behind[k] ?? 0)
  return smooth
}

/**
 * Backdrop seen through a handle or a ring is enclosed, so the flood cannot reach it. It has the backdrop's colour and an
 * outline that is sharp against a product which differs; a highlight on a light product fades out instead, and stays.
 */
function openHoles(outside: Uint8Array, open: Open, edges: Uint8Array, { plain }: Limits, size: Size): void {
  const { width, height } = size
  const nearEdge = grow(edges, size, 2)
  const wall = maximum(open.distance, size, 4)
  const way = without(open.shade, edges)
  const alike = way.map((v, i) => (v && !outside[i] && (open.distance[i] ?? 0) < 2.5 * plain ? 1 : 0))
  const like = shrink(grow(alike, size, 1), size, 1) // no pinholes: noise must not count as outline
  const cores = shrink(like, size, 1)
  const holes = new Uint8Array(like.length)
  for (const part of parts(like, size)) {
    if (part.length < MIN_HOLE * width * height) continue
    const rim = part.filter((i) => !(like[i - 1] && like[i + 1] && like[i - width] && like[i + width]))
    const core = part.filter((i) => cores[i])
    const flat = core.reduce((sum, i) => sum + (open.distance[i] ?? 0), 0) < 1.6 * plain * core.length
    const sharp = rim.filter((i) => nearEdge[i] && (wall[i] ?? 0) > 10 * plain)
    if (flat && core.length > 0.2 * part.length && sharp.length > 0.75 * rim.length) for (const i of part) holes[i] = 1
  }
  flood(holes, way, size)
  for (let i = 0; i < holes.length; i++) if (holes[i]) outside[i] = 1
}

/** Drops what is too small or too faint to be a part of the product: dust, noise, the rim of a shadow. */
function withoutSpecks(product: Uint8Array, open: Open, size: Size): Uint8Array {
  const all = parts(product, size)
  const largest = Math.max(0, ...all.map((part) => part.length))
  const least = Math.max(4, MIN_PART * size.width * size.height, largest * 0.003)
  const kept = new Uint8Array(product.length)
  for (const part of all) {
    if (part.length < least || part.every((i) => open.plain[i])) continue
    for (const i of part) kept[i] = 1
  }
  return kept
}
