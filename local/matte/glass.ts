import type { Facts } from './facts.ts'

/** What fills a glass: as wide as the pane above it and next to it, even, and no darker than what light comes through. */
export function sheerBy(facts: Facts[], open: boolean[], panes: number[]): boolean[] {
  const sheer = facts.map(() => false)
  for (const pane of panes) {
    const glass = facts[pane]
    if (!glass || glass.plain < 0.7) continue
    const wide = glass.right - glass.left
    const within = ({ left, right }: Facts) => left > glass.left - 0.12 * wide && right < glass.right + 0.12 * wide
    const filled = facts.filter((f, a) => {
      const near = f.top < glass.bottom + 0.1 * (glass.bottom - glass.top) && f.bottom > glass.bottom
      const even = f.light > 0.55 && f.spread < 0.06 && f.area > 0.1 * glass.area
      return a > 0 && !open[a] && even && near && within(f) && f.right - f.left > 0.7 * wide
    })
    // A mirrored light parts it.
    facts.forEach((f, a) => {
      const same = filled.some(
        (one) => Math.abs(one.light - f.light) < 0.04 && f.top >= one.top - 3 && f.bottom <= one.bottom + 3,
      )
      if (a > 0 && !open[a] && same && within(f) && f.spread < 0.06) sheer[a] = true
    })
  }
  return sheer
}
