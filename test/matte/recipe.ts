import { type Colour, type Paint, paintWith } from './paint.ts'
import type { Random } from './random.ts'
import type { Setup, Shape } from './stage.ts'

export const VIVID: readonly [Colour, ...Colour[]] = [
  [190, 45, 40],
  [40, 90, 150],
  [30, 110, 80],
  [215, 150, 40],
  [110, 60, 120],
  [40, 42, 48],
  [150, 95, 60],
  [230, 215, 190],
  [148, 150, 154],
  [208, 206, 202],
]
export type Shapes = readonly [Shape, ...Shape[]]
export type Partly = Omit<Setup, 'size' | 'seed'>

/** What one scene of a kind looks like. `second`: of the half only reported, which has its own light and shadows. */
export type Recipe = (random: Random, shape: Shape, second: boolean, variant: number) => Partly

export function studio(tune: Shapes, colour: Colour): { tune: Shapes; report: Shapes; recipe: Recipe } {
  return {
    tune,
    report: tune,
    recipe: (random, shape, second, variant) => ({
      ...standing(random, {
        shape,
        paint: paintWith(random, {
          colour: VIVID[(variant * 2 + (second ? 1 : 0)) % 7] ?? VIVID[0],
          accent: random.pick(VIVID),
        }),
      }),
      backdrop: { colour, fall: [random.between(-6, 6), second ? 6 : -8], glow: second ? 4 : 0 },
      shadow: { contact: random.between(0.3, 0.5), cast: [soft(random, second)] },
    }),
  }
}

export const same = (level: number): Colour => [level, level, level]
export const plain = (random: Random): Colour =>
  random.pick<Colour>([
    [250, 250, 250],
    [216, 217, 220],
    [228, 217, 200],
    [160, 186, 210],
    [232, 222, 226],
  ] as const)

export function standing(random: Random, product: { shape: Shape; paint: Paint }, foot = 0.88, most = 0.75) {
  const side = random.between(most - 0.15, most)
  return { product, place: { x: random.between(0.42, 0.58), foot: random.between(foot - 0.04, foot), side } }
}

/** In the one half light comes from the front and above, in the other from behind and from two sides. */
export function soft(random: Random, second: boolean) {
  const lean = random.between(0.1, 0.6) * random.pick([-1, 1] as const)
  return second
    ? { lean, rise: random.between(-0.12, -0.3), blur: random.between(0.03, 0.07), depth: random.between(0.1, 0.25) }
    : { lean, rise: random.between(0.1, 0.3), blur: random.between(0.02, 0.05), depth: random.between(0.15, 0.3) }
}
