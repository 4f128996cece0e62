/** Bytes as people read them, in the kilobytes of the metric system: 94 B, 9.4 kB, 94 kB, 1,240 kB. */
export function kilobytes(bytes: number): string {
  if (bytes < 100) return `${bytes} B`
  const kB = bytes / 1000
  return `${kB < 9.95 ? kB.toFixed(1) : Math.round(kB).toLocaleString('en')} kB`
}
