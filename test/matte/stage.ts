import sharp from 'sharp'
import { type Colour, css, type Paint } from './paint.ts'
import { type Random, seeded } from './random.ts'

/** Draws a product in a box of 1000 by 1000, standing on its lower side. */
export type Shape = (paint: Paint) => string

export interface Setup {
  size: readonly [width: number, height: number]
  product: { shape: Shape; paint: Paint }
  /** Middle and foot of the product's box, and its sides, in parts of the picture's width, height and shorter side. */
  place: { x: number; foot: number; side: number; wide?: number }
  backdrop: {
    colour: Colour
    /** Change of brightness from the middle to the right and lower sides, in levels. */
    fall?: readonly [number, number]
    /** A spot of light behind the product, in levels. */
    glow?: number
    /** A floor of another colour below this height; `tilt` is how much lower its far edge is on the right. */
    floor?: { colour: Colour; top: number; tilt?: number; soft?: number }
    /** Cloth or paper: deviation of its grain in levels. */
    grain?: number
  }
  shadow?: {
    /** Under the product, where it touches the floor. */
    contact?: number
    /** A shadow on the floor: sideways, up (negative: towards the camera), blur in parts of the box, depth. */
    cast?: readonly { lean: number; rise: number; blur: number; depth: number }[]
  }
  /** How much of the product a polished floor gives back. */
  mirror?: number
  camera?: { noise?: number; blotch?: number; focus?: number; vignette?: number; quality?: number }
  seed: number
}

export interface Drawn {
  photo: Buffer
  /** The product's true coverage, 0 to 255, without its shadow. */
  alpha: Uint8Array
  width: number
  height: number
}

/** Photographs a product: backdrop, shadows, reflection, lens, sensor, JPEG. */
export async function photograph(setup: Setup): Promise<Drawn> {
  const [width, height] = setup.size
  const random = seeded(setup.seed)
  const { shadow = {}, mirror = 0, camera = {} } = setup
  const layer = await renderProduct(setup)
  const alpha = new Uint8Array(width * height)
  for (let i = 0; i < alpha.length; i++) alpha[i] = layer[i * 4 + 3] ?? 0
  const canvas = drawBackdrop(setup, random)
  const side = setup.place.side * Math.min(width, height)
  const foot = Math.round(setup.place.foot * height)
  for (const { lean, rise, blur, depth } of shadow.cast ?? [])
    darken(canvas, await soften(castShadow(alpha, width, height, foot, lean, rise), width, height, blur * side), depth)
  if (shadow.contact) {
    const touch = contactShadow(alpha, width, height, foot, side)
    darken(canvas, await soften(touch, width, height, side * 0.05), shadow.contact * 0.6)
    darken(canvas, await soften(touch, width, height, side * 0.012), shadow.contact)
  }
  if (mirror > 0) reflect(canvas, layer, width, height, foot, side, mirror)
  for (let i = 0; i < alpha.length; i++) {
    const a = (alpha[i] ?? 0) / 255
    for (let c = 0; c < 3; c++)
      canvas[i * 3 + c] = a * (layer[i * 4 + c] ?? 0) + (1 - a) * Math.min(255, canvas[i * 3 + c] ?? 0)
  }
  const photo = await expose(canvas, width, height, camera, random)
  return { photo, alpha, width, height }
}

async function renderProduct({ size: [width, height], product, place, camera = {} }: Setup): Promise<Buffer> {
  const body = product.shape(product.paint)
  const side = place.side * Math.min(width, height)
  const [sx, sy] = [(side * (place.wide ?? 1)) / 1000, side / 1000]
  const at = `translate(${place.x * width - 500 * sx} ${place.foot * height - 1000 * sy}) scale(${sx} ${sy})`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><defs>${product.paint.defs.join('')}</defs><g transform="${at}">${body}</g></svg>`
  return sharp(Buffer.from(svg))
    .ensureAlpha()
    .blur(camera.focus ?? 0.7)
    .raw()
    .toBuffer()
}

function drawBackdrop({ size: [width, height], backdrop }: Setup, random: Random): Float32Array {
  const { colour, fall = [0, 0], glow = 0, floor, grain = 0 } = backdrop
  const canvas = new Float32Array(width * height * 3)
  for (let y = 0, k = 0; y < height; y++) {
    for (let x = 0; x < width; x++, k += 3) {
      const [u, v] = [(x / width) * 2 - 1, (y / height) * 2 - 1]
      const light = fall[0] * u + fall[1] * v + glow * Math.exp(-2 * (u * u + (v + 0.2) * (v + 0.2)))
      const below = floor
        ? Math.min(1, Math.max(0, 0.5 + (y / height - floor.top - ((floor.tilt ?? 0) * u) / 2) / (floor.soft ?? 0.003)))
        : 0
      const rough = grain > 0 ? grain * random.normal() : 0
      for (let c = 0; c < 3; c++) {
        const own = (colour[c] ?? 0) * (1 - below) + (floor?.colour[c] ?? 0) * below
        canvas[k + c] = own + light + rough
      }
    }
  }
  return canvas
}

/** The silhouette laid down on the floor, away from the light. */
function castShadow(alpha: Uint8Array, width: number, height: number, foot: number, lean: number, rise: number) {
  const out = new Uint8Array(alpha.length)
  for (let y = 0; y < height; y++) {
    const up = (foot - y) / rise
    const from = Math.round(foot - up)
    if (up < 0 || from < 0 || from >= height) continue
    for (let x = 0; x < width; x++) {
      const source = Math.round(x - lean * up)
      if (source >= 0 && source < width) out[y * width + x] = alpha[from * width + source] ?? 0
    }
  }
  return out
}

/** A spot wherever the lowest part of a column is near the floor. */
function contactShadow(alpha: Uint8Array, width: number, height: number, foot: number, side: number): Uint8Array {
  const out = new Uint8Array(alpha.length)
  const thick = Math.max(2, Math.round(side * 0.015))
  for (let x = 0; x < width; x++) {
    let y = Math.min(height - 1, foot + 2)
    while (y >= 0 && (alpha[y * width + x] ?? 0) < 128) y--
    if (foot - y > side * 0.06) continue
    for (let k = Math.max(0, y - thick); k < Math.min(height, y + thick); k++) out[k * width + x] = 255
  }
  return out
}

function soften(map: Uint8Array, width: number, height: number, sigma: number): Promise<Buffer> {
  const image = sharp(map, { raw: { width, height, channels: 1 } })
  return (sigma > 0.3 ? image.blur(sigma) : image).extractChannel(0).raw().toBuffer()
}

/** Less of each colour; a shadow is a little bluer than the light. */
function darken(canvas: Float32Array, map: Uint8Array, depth: number): void {
  for (let i = 0; i < map.length; i++) {
    const d = ((map[i] ?? 0) / 255) * depth
    if (d === 0) continue
    for (let c = 0; c < 3; c++) canvas[i * 3 + c] = (canvas[i * 3 + c] ?? 0) * (1 - d * (1 - 0.02 * c))
  }
}

function reflect(
  canvas: Float32Array,
  layer: Buffer,
  width: number,
  height: number,
  foot: number,
  side: number,
  strength: number,
): void {
  for (let y = foot; y < height; y++) {
    const from = 2 * foot - y - 1
    const fade = strength * Math.max(0, 1 - (y - foot) / (side * 0.6))
    if (from < 0 || fade === 0) continue
    for (let x = 0; x < width; x++) {
      const j = (from * width + x) * 4
      const a = ((layer[j + 3] ?? 0) / 255) * fade
      const k = (y * width + x) * 3
      for (let c = 0; c < 3; c++) canvas[k + c] = (canvas[k + c] ?? 0) * (1 - a) + (layer[j + c] ?? 0) * a
    }
  }
}

/** Corners darker, noise of a sensor (blotches: what a phone leaves of it), 8 bits, JPEG. */
async function expose(
  canvas: Float32Array,
  width: number,
  height: number,
  camera: NonNullable<Setup['camera']>,
  random: Random,
): Promise<Buffer> {
  const { noise = 1.2, blotch = 0, vignette = 0, quality = 88 } = camera
  const coarse = [Math.ceil(width / 3) + 1, Math.ceil(height / 3) + 1] as const
  const spots = Float32Array.from(
    { length: blotch > 0 ? coarse[0] * coarse[1] * 3 : 0 },
    () => blotch * random.normal(),
  )
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0, k = 0; y < height; y++) {
    for (let x = 0; x < width; x++, k += 3) {
      const r2 = ((x / width) * 2 - 1) ** 2 + ((y / height) * 2 - 1) ** 2
      const light = 1 - vignette * r2 * 0.5
      const grey = noise * 0.6 * random.normal()
      const j = (Math.floor(y / 3) * coarse[0] + Math.floor(x / 3)) * 3
      for (let c = 0; c < 3; c++) {
        const value = (canvas[k + c] ?? 0) * light + grey + noise * 0.8 * random.normal() + (spots[j + c] ?? 0)
        pixels[k + c] = Math.min(255, Math.max(0, Math.round(value)))
      }
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer()
}

/** A path of straight lines through points given as `x,y x,y`. */
export const polygon = (points: string, fill: string): string => `<polygon points="${points}" fill="${fill}"/>`
export const line = (d: string, width: number, colour: Colour | string): string =>
  `<path d="${d}" fill="none" stroke="${typeof colour === 'string' ? colour : css(colour)}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"/>`
export const oval = (cx: number, cy: number, rx: number, ry: number, fill: string): string =>
  `<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" fill="${fill}"/>`
