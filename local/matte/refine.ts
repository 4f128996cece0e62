import type { Picture } from './layout.ts'
import type { Mask } from './mask.ts'
import { bilinear, maximum, spread } from './plane.ts'

/** Half the width, in pixels of the mask, of the band around the outline in which alpha is worked out pixel by pixel. */
const BAND = 2

/**
 * Sets the alpha of the full-size picture and takes the backdrop's colour out of its half-transparent pixels, in place.
 * Alpha is where the pixel's colour lies between the backdrop's and the product's colour next to it.
 */
export function refine(picture: Picture, mask: Mask): void {
  const { data, width, height } = picture
  const inside = Float32Array.from(mask.product)
  const most = maximum(inside, mask, BAND)
  const least = maximum(
    inside.map((v) => -v),
    mask,
    BAND,
  )
  const softened = soften(mask)
  const behindAt = bilinear(mask.behind, mask)
  const frontAt = bilinear(mask.front, mask)
  const softAt = bilinear(softened, mask)
  const noise = Math.max(mask.noise, 1)
  for (let y = 0; y < height; y++) {
    const v = ((y + 0.5) * mask.height) / height - 0.5
    const row = Math.min(mask.height - 1, Math.max(0, Math.round(v))) * mask.width
    for (let x = 0; x < width; x++) {
      const u = ((x + 0.5) * mask.width) / width - 0.5
      const j = row + Math.min(mask.width - 1, Math.max(0, Math.round(u)))
      const i = (y * width + x) * 4
      if (most[j] === 0) {
        data[i + 3] = 0
        continue
      }
      if (least[j] === -1) continue
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
      const byPlace = clamp((softAt(u, v)[0] ?? 0) * 2 - 0.5)
      const trust = clamp((contrast - 4 * noise) / (8 * noise))
      const alpha = trust * byColour + (1 - trust) * byPlace
      for (let c = 0; c < 3 && alpha > 0; c++) {
        const unmixed = ((data[i + c] ?? 0) - (1 - alpha) * (b[c] ?? 0)) / alpha
        const value = alpha * unmixed + (1 - alpha) * (f[c] ?? 0)
        data[i + c] = Math.min(255, Math.max(0, Math.round(value)))
      }
      data[i + 3] = Math.min(data[i + 3] ?? 0, Math.round(alpha * 255))
    }
  }
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}

/** The mask blurred over a pixel or two, as a plane of colours of which the first counts. */
function soften(mask: Mask): Float32Array {
  const colours = new Float32Array(mask.product.length * 3)
  mask.product.forEach((v, i) => {
    colours[i * 3] = v
  })
  return spread(colours, new Float32Array(mask.product.length).fill(1), mask, 1)
}
