import type { Random } from './random.ts'

export type Colour = readonly [red: number, green: number, blue: number]

export const scale = ([r, g, b]: Colour, factor: number): Colour => [r * factor, g * factor, b * factor]
export const css = (colour: Colour): string =>
  `rgb(${colour.map((v) => Math.round(Math.min(255, Math.max(0, v)))).join(',')})`

/** What a product is made of, and from where light falls on it. Each fill adds its gradient to `defs`. */
export interface Paint {
  random: Random
  colour: Colour
  accent: Colour
  /** How much darker the far side is than the lit one: little for white things, for else they would be grey. */
  depth: number
  /** -1: light from the left. */
  light: -1 | 1
  defs: string[]
  /** A thing that is round across: both limbs darker, a highlight off the middle. */
  round(colour?: Colour): string
  /** A thing that is round to every side. */
  ball(colour?: Colour): string
  /** A flat face, a little lighter at one end. `level` is how much of the light falls on it. */
  face(level: number, colour?: Colour): string
  /** Bright and dark bands, as polished metal mirrors its surroundings. */
  metal(colour?: Colour): string
  /** A pattern over a fill. */
  cloth(kind: 'stripes' | 'dots' | 'check' | 'weave', size: number, colour?: Colour): string
}

export function paintWith(
  random: Random,
  look: { colour: Colour; accent?: Colour; depth?: number; light?: -1 | 1 },
): Paint {
  const { colour, accent = [40, 42, 48], depth = 0.45, light = random.pick([-1, 1] as const) } = look
  const defs: string[] = []
  const add = (text: (id: string) => string) => {
    const id = `f${defs.length}`
    defs.push(text(id))
    return `url(#${id})`
  }
  const stops = (list: [number, Colour][]) =>
    list.map(([at, c]) => `<stop offset="${at}" stop-color="${css(c)}"/>`).join('')
  const across = light < 0 ? 'x1="0" x2="1"' : 'x1="1" x2="0"'
  return {
    random,
    colour,
    accent,
    depth,
    light,
    defs,
    round: (c = colour) =>
      add(
        (id) =>
          `<linearGradient id="${id}" ${across} y1="0" y2="0">${stops([
            [0, scale(c, 1 - depth * 0.7)],
            [0.12, scale(c, 1 - depth * 0.25)],
            [0.3, scale(c, 1 + depth * 0.12)],
            [0.6, scale(c, 1 - depth * 0.3)],
            [0.92, scale(c, 1 - depth)],
            [1, scale(c, 1 - depth * 0.85)],
          ])}</linearGradient>`,
      ),
    ball: (c = colour) =>
      add(
        (id) =>
          `<radialGradient id="${id}" cx="${0.5 + light * 0.17}" cy="0.32" r="0.75">${stops([
            [0, scale(c, 1 + depth * 0.2)],
            [0.5, scale(c, 1 - depth * 0.25)],
            [1, scale(c, 1 - depth)],
          ])}</radialGradient>`,
      ),
    face: (level, c = colour) =>
      add(
        (id) =>
          `<linearGradient id="${id}" x1="0" y1="0" x2="0.3" y2="1">${stops([
            [0, scale(c, 1 - depth * (1 - level) + depth * 0.08)],
            [1, scale(c, 1 - depth * (1 - level) - depth * 0.1)],
          ])}</linearGradient>`,
      ),
    metal: (c = colour) =>
      add(
        (id) =>
          `<linearGradient id="${id}" x1="0" y1="0" x2="1" y2="1">${stops(
            [1, 0.6, 1.25, 0.45, 0.95, 1.3, 0.55, 0.85].map((f, i) => [i / 7, scale(c, 1 + (f - 1) * depth * 1.6)]),
          )}</linearGradient>`,
      ),
    cloth: (kind, size, c = colour) =>
      add((id) => {
        const [a, b] = [css(c), css(scale(c, 1 - depth * 0.5))]
        const marks = {
          stripes: `<rect width="${size}" height="${size / 2}" fill="${b}"/>`,
          dots: `<circle cx="${size / 2}" cy="${size / 2}" r="${size / 4}" fill="${css(accent)}"/>`,
          check: `<rect width="${size / 2}" height="${size / 2}" fill="${b}"/><rect x="${size / 2}" y="${size / 2}" width="${size / 2}" height="${size / 2}" fill="${css(accent)}" fill-opacity="0.6"/>`,
          weave: `<path d="M0 0L${size} ${size}M0 ${size}L${size} 0" stroke="${b}" stroke-width="${size / 5}"/>`,
        }
        return `<pattern id="${id}" width="${size}" height="${size}" patternUnits="userSpaceOnUse"><rect width="${size}" height="${size}" fill="${a}"/>${marks[kind]}</pattern>`
      }),
  }
}
