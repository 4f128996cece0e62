import type { Picture } from './layout.ts'
import type { Mask } from './mask.ts'
import { grow, shrink } from './plane.ts'
import { bilinear } from './spread.ts'

/** Half the width, in pixels of the mask, of the band around the outline in which alpha is computed for each pixel. */
const BAND = 2
/** How much more than the least alpha coloured glass is taken to have. */
const SHEER = 1.5

/**
 * Sets the alpha of the full-size picture and takes the backdrop's colour out of its half-transparent pixels, in place.
 * A pixel's alpha is the position of its colour between the backdrop's and the product's colour next to it.
 */
export function refine(picture: Picture, mask: Mask): void {
  const { data, width, height } = picture
  const most = mask.doubt?.most ?? grow(mask.product, mask, BAND)
  const least = mask.doubt?.least ?? shrink(mask.product, mask, BAND)
  const softened = mask.doubt?.soft ?? soften(mask)
  const behindAt = bilinear(mask.behind, mask)
  const frontAt = bilinear(mask.front, mask)
  const softAt = bilinear(softened, mask)
  const noise = Math.max(mask.noise, 1)
  const columns = Int32Array.from({ length: width }, (_, x) => {
    const u = ((x + 0.5) * mask.width) / width - 0.5
    return Math.min(mask.width - 1, Math.max(0, Math.round(u)))
  })
  for (let y = 0; y < height; y++) {
    const v = ((y + 0.5) * mask.height) / height - 0.5
    const row = Math.min(mask.height - 1, Math.max(0, Math.round(v))) * mask.width
    for (let x = 0; x < width; x++) {
      const j = row + (columns[x] ?? 0)
      const i = (y * width + x) * 4
      if (most[j] === 0) {
        data[i + 3] = 0
        continue
      }
      if (least[j]) {
        if (mask.sheer[j]) thin(data, i, behindAt(((x + 0.5) * mask.width) / width - 0.5, v))
        continue
      }
      const u = ((x + 0.5) * mask.width) / width - 0.5
      const b = behindAt(u, v)
      const f = frontAt(u, v)
      let along = 0
      let length = 0
      for (let c = 0; c < 3; c++) {
        const axis = (f[c] ?? 0) - (b[c] ?? 0)
        along += ((data[i + c] ?? 0) - (b[c] ?? 0)) * axis
        length += axis * axis
      }
      const contrast = Math.sqrt(length)
      const low = Math.min(0.3, Math.max(0.04, (2 * noise) / contrast))
      const byColour = clamp((along / (length + 1) - low) / (0.94 - low))
      const soft = softAt(u, v)[0] ?? 0
      // Beyond the outline, what is much farther off than the product is no blend of the two, but a shadow at its darkest.
      const blend = soft < 0.5 ? clamp(3.6 - 2 * (along / (length + 1))) : 1
      const trust = clamp((contrast - 4 * noise) / (8 * noise)) * blend
      const guess = trust * byColour + (1 - trust) * clamp(soft * 2 - 0.5)
      // A part of the product that happens to have the backdrop's colour must not open up just inside its outline.
      const alpha = Math.max(guess, clamp((soft - 0.7) / 0.25))
      for (let c = 0; c < 3 && alpha > 0; c++) {
        const unmixed = ((data[i + c] ?? 0) - (1 - alpha) * (b[c] ?? 0)) / alpha
        const value = alpha * unmixed + (1 - alpha) * (f[c] ?? 0)
        data[i + c] = Math.min(255, Math.max(0, Math.round(value)))
      }
      data[i + 3] = Math.min(data[i + 3] ?? 0, Math.round(alpha * 255))
    }
  }
}

/**
 * Coloured light comes through: the least alpha that explains the colour, and somewhat more, because no glass is as deep in
 * colour as can be; and the colour that then is in front.
 */
function thin(data: Uint8Array, i: number, behind: Float32Array): void {
  let least = 0
  for (let c = 0; c < 3; c++) {
    const [own, back] = [data[i + c] ?? 0, behind[c] ?? 0]
    least = Math.max(least, own < back ? (back - own) / Math.max(back, 1) : (own - back) / Math.max(255 - back, 1))
  }
  const alpha = clamp(Math.min(1, least * SHEER + 0.05))
  for (let c = 0; c < 3; c++) {
    const own = ((data[i + c] ?? 0) - (1 - alpha) * (behind[c] ?? 0)) / alpha
    data[i + c] = Math.min(255, Math.max(0, Math.round(own)))
  }
  data[i + 3] = Math.min(data[i + 3] ?? 0, Math.round(alpha * 255))
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}

/** The mask blurred over two pixels to every side, as a plane of colours of which only the first is used. */
function soften({ product, width }: Mask): Float32Array {
  const across = product.map((_, i) => blur(product, i, 1))
  const colours = new Float32Array(product.length * 3)
  for (let i = 0; i < product.length; i++) colours[i * 3] = blur(across, i, width) / 256
  return colours
}

function blur(plane: Uint8Array, i: number, step: number): number {
  const own = plane[i] ?? 0
  const near = (plane[i - step] ?? own) + (plane[i + step] ?? own)
  const far = (plane[i - 2 * step] ?? own) + (plane[i + 2 * step] ?? own)
  return 6 * own + 4 * near + far
}
