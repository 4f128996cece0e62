import sharp, { type Sharp } from 'sharp'
import type { Layout } from '../layout.ts'

/** A rectangle of pixels. */
export interface Box {
  left: number
  top: number
  width: number
  height: number
}

/** Interleaved 8-bit RGBA. */
export interface Picture {
  data: Uint8Array
  width: number
  height: number
}

/** Up to this alpha a pixel does not count for the product's bounds, because a stray faint pixel must not shift the centre. */
const FAINT = 8

/** The bounds of the product in pixels; undefined if there is no product. */
export function bounds({ data, width, height }: Picture): Box | undefined {
  let left = width
  let right = -1
  let top = height
  let bottom = -1
  for (let y = 0; y < height; y++) {
    const row = y * width * 4 + 3
    let x = 0
    while (x < width && (data[row + x * 4] ?? 0) <= FAINT) x++
    if (x === width) continue
    if (x < left) left = x
    let last = width - 1
    while (last > right && (data[row + last * 4] ?? 0) <= FAINT) last--
    if (last > right) right = last
    if (y < top) top = y
    bottom = y
  }
  return right < 0 ? undefined : { left, top, width: right - left + 1, height: bottom - top + 1 }
}

/**
 * The place of a picture of this size: `width` and `height` of the canvas, `left` and `top` of the picture's corner on it
 * (negative if centring moves a part of the empty margin out). The product is moved, never scaled.
 */
export function place(size: { width: number; height: number }, product: Box | undefined, layout: Layout): Box {
  const moved = layout.center ? product : undefined
  return {
    width: size.width + 2 * layout.dx,
    height: size.height + 2 * layout.dy,
    left: layout.dx + (moved ? Math.floor((size.width - moved.width) / 2) - moved.left : 0),
    top: layout.dy + (moved ? Math.floor((size.height - moved.height) / 2) - moved.top : 0),
  }
}

/**
 * Draws the picture on an empty canvas; what falls outside is lost. The canvas may be huge, so it is never completely in
 * memory.
 */
export function draw({ data, width, height }: Picture, at: Box): Sharp {
  const [left, top] = [Math.max(0, -at.left), Math.max(0, -at.top)]
  const seen = {
    left,
    top,
    width: Math.min(width, at.width - at.left) - left,
    height: Math.min(height, at.height - at.top) - top,
  }
  const before = { left: at.left + left, top: at.top + top }
  const after = { right: at.width - before.left - seen.width, bottom: at.height - before.top - seen.height }
  return sharp(data, { raw: { width, height, channels: 4 } })
    .extract(seen)
    .extend({ ...before, ...after, background: '#0000' })
}
