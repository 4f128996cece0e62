/** Bytes as people read them, in the kilobytes of the metric system: 9.4 kB, 94 kB, 1,240 kB. */
export function kilobytes(bytes: number): string {
  const kB = bytes / 1000
  return `${kB < 9.95 ? kB.toFixed(1) : Math.round(kB).toLocaleString('en')} kB`
}
