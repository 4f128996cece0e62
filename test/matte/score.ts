export interface Score {
  /** Of the masks at half coverage. */
  iou: number
  /** Sum of the absolute differences of alpha, in thousands of pixels. */
  sad: number
  /** F-measure of the outlines, with a tolerance of 0.4 % of the diagonal (Perazzi et al., CVPR 2016). */
  edge: number
}

/** How close a cutout's alpha is to the true one. */
export function score(got: Uint8Array, want: Uint8Array, width: number, height: number): Score {
  let both = 0
  let either = 0
  let off = 0
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [got[i] ?? 0, want[i] ?? 0]
    if (a > 127 && b > 127) both++
    if (a > 127 || b > 127) either++
    off += Math.abs(a - b)
  }
  const near = Math.max(1, Math.round(0.004 * Math.hypot(width, height)))
  const [mine, theirs] = [outline(got, width, height), outline(want, width, height)]
  const precision = share(mine, widen(theirs, width, height, near))
  const recall = share(theirs, widen(mine, width, height, near))
  const edge = precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0
  return { iou: either > 0 ? both / either : 1, sad: off / 255_000, edge }
}

function outline(alpha: Uint8Array, width: number, height: number): Uint8Array {
  const out = new Uint8Array(alpha.length)
  const inside = (i: number) => (alpha[i] ?? 0) > 127
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      if (inside(i) && ((x > 0 && !inside(i - 1)) || (x < width - 1 && !inside(i + 1)))) out[i] = 1
      if (inside(i) && ((y > 0 && !inside(i - width)) || (y < height - 1 && !inside(i + width)))) out[i] = 1
    }
  }
  return out
}

function widen(set: Uint8Array, width: number, height: number, by: number): Uint8Array {
  const out = new Uint8Array(set.length)
  for (let i = 0; i < set.length; i++) {
    if (!set[i]) continue
    const [x, y] = [i % width, Math.floor(i / width)]
    for (let dy = -by; dy <= by; dy++) {
      if (y + dy < 0 || y + dy >= height) continue
      const left = i + dy * width - Math.min(by, x)
      out.fill(1, left, i + dy * width + Math.min(by, width - 1 - x) + 1)
    }
  }
  return out
}

function share(part: Uint8Array, of: Uint8Array): number {
  let all = 0
  let hit = 0
  for (let i = 0; i < part.length; i++) {
    if (!part[i]) continue
    all++
    if (of[i]) hit++
  }
  return all > 0 ? hit / all : 1
}
