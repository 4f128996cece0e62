/** How what the vendor does not document is taken; and the one switch of its console that image processing has. */
export interface Readings {
  /** Whether `pad/1/color/…` keeps a picture's own transparency, or lays the colour under it, too. */
  pad: 'keeps' | 'flattens'
  /** On what a transparent picture lies in a jpg. */
  jpg: 'white' | 'black'
  /** Which of several operations in a query is done. */
  several: 'first' | 'last'
  /** Advanced compression (avif) is switched on for the buckets; off until somebody does it (product/1246/109218). */
  advanced: boolean
}

const CHOICES = {
  pad: ['keeps', 'flattens'],
  jpg: ['white', 'black'],
  several: ['first', 'last'],
  advanced: [false, true],
} as const

/** The first of each. */
export function defaultReadings(): Readings {
  return { pad: CHOICES.pad[0], jpg: CHOICES.jpg[0], several: CHOICES.several[0], advanced: CHOICES.advanced[0] }
}

/** @throws TypeError naming what is wrong with JSON that came in from outside. */
export function parseReadings(json: unknown): Partial<Readings> {
  const given = Object(json) as Record<string, unknown>
  for (const [name, value] of Object.entries(given)) {
    const choices: readonly unknown[] | undefined = Object.entries(CHOICES).find(([known]) => known === name)?.[1]
    if (!choices) throw new TypeError(`${name}: expected one of ${Object.keys(CHOICES).join(', ')}`)
    if (!choices.includes(value)) throw new TypeError(`${name}: expected ${choices.join(' or ')}`)
  }
  return given
}
