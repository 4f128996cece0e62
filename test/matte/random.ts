/** Numbers that only look random: the same seed gives the same scene on every machine. */
export interface Random {
  /** At least `low`, less than `high`. */
  between(low: number, high: number): number
  pick<T>(list: readonly [T, ...T[]]): T
  /** About normal, with a deviation of one. */
  normal(): number
}

export function seeded(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b9)
  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 5; i++) next()
  return {
    between: (low, high) => low + (high - low) * next(),
    pick: (list) => list[Math.floor(next() * list.length)] ?? list[0],
    normal: () => (next() + next() + next() + next() - 2) * 1.732,
  }
}
