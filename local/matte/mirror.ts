import type { Size } from './plane.ts'

/** A floor gives back at most this much of the light, at least so much that it is seen, and this much of it must be explained. */
const BRIGHTEST = 0.65
const FAINTEST = 0.04
const EXPLAINED = 0.9
const ALIKE = 0.8
/** A smaller part of the product is rather its lower rim. */
const SMALLEST = 0.07

/**
 * A polished floor shows the product once more, upside down and fainter. Finds the row below which all of the product is that
 * image of what stands above, and clears it in `product`, in place: each row's difference from the backdrop must be about that
 * of the row as far above, times one factor, which does not grow with the distance.
 */
export function clearReflection(
  product: Uint8Array,
  pixels: Float32Array,
  behind: Float32Array,
  { width, height }: Size,
): void {
  let [top, bottom, left, right] = [height, 0, width, 0]
  const rowArea = new Int32Array(height)
  for (let i = 0; i < product.length; i++) {
    if (!product[i]) continue
    const x = i % width
    const y = (i - x) / width
    if (x < left) left = x
    if (x > right) right = x
    if (y < top) top = y
    bottom = y
    rowArea[y] = (rowArea[y] ?? 0) + 1
  }
  const area = rowArea.reduce((a, b) => a + b, 0)
  let best = { row: 0, score: EXPLAINED }
  for (let row = Math.round(top + 0.45 * (bottom - top)); row < bottom - 3; row++) {
    const below = rowArea.subarray(row, bottom + 1).reduce((a, b) => a + b, 0)
    if (below < SMALLEST * area) break
    const score = explained(product, pixels, behind, width, { row, bottom, left, right })
    if (score > best.score) best = { row, score }
  }
  if (best.row > 0) product.fill(0, best.row * width)
}

/** How much of what lies below the row is its mirror image, by energy; 0 if the factors are none of a floor's. */
function explained(
  product: Uint8Array,
  pixels: Float32Array,
  behind: Float32Array,
  width: number,
  { row, bottom, left, right }: { row: number; bottom: number; left: number; right: number },
): number {
  let [all, met, pixelsBelow, alike] = [0, 0, 0, 0]
  const rows: { factor: number; low: number }[] = []
  for (let d = 0; row + d <= bottom && row - 1 - d >= 0; d++) {
    let [dot, up, low] = [0, 0, 0]
    const [below, above] = [(row + d) * width, (row - 1 - d) * width]
    for (let x = left; x <= right; x += 2) {
      if (!product[below + x] && !product[above + x]) continue
      for (let c = 0; c < 3; c++) {
        const [i, j] = [(below + x) * 3 + c, (above + x) * 3 + c]
        const a = (pixels[i] ?? 0) - (behind[i] ?? 0)
        const b = (pixels[j] ?? 0) - (behind[j] ?? 0)
        dot += a * b
        low += a * a
        up += b * b
      }
    }
    // The first rows are in the dark of the contact and half product.
    if (d < 2) continue
    // Most rows of most pictures are no axis, which shows at once.
    if (d === 7 && (rows.length < 4 || mean(rows) > 1.5 * BRIGHTEST)) return 0
    all += low
    if (up === 0 || dot <= 0) continue
    met += (dot * dot) / up
    const factor = dot / up
    rows.push({ factor, low })
    if (d < 7) continue
    for (let x = left; x <= right; x += 2) {
      if (!product[below + x]) continue
      let [off, own] = [0, 0]
      for (let c = 0; c < 3; c++) {
        const [i, j] = [(below + x) * 3 + c, (above + x) * 3 + c]
        const a = (pixels[i] ?? 0) - (behind[i] ?? 0)
        off += (a - factor * ((pixels[j] ?? 0) - (behind[j] ?? 0))) ** 2
        own += a * a
      }
      pixelsBelow++
      if (off < 0.15 * own + 60) alike++
    }
  }
  const near = rows.slice(0, Math.max(3, rows.length >> 2))
  const [first, rest] = [mean(near), mean(rows)]
  if (rows.length < 4 || first > BRIGHTEST || first < FAINTEST || rest > 1.1 * first) return 0
  return all > 0 && alike > ALIKE * pixelsBelow ? met / all : 0
}

/** The mean factor, by energy. */
function mean(rows: { factor: number; low: number }[]): number {
  const weight = rows.reduce((sum, { low }) => sum + low, 0)
  return rows.reduce((sum, { factor, low }) => sum + factor * low, 0) / (weight || 1)
}
