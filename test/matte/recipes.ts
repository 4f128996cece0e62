import * as other from './other-shapes.ts'
import { type Colour, paintWith } from './paint.ts'
import { plain, type Recipe, type Shapes, same, soft, standing, studio, VIVID } from './recipe.ts'
import * as shapes from './shapes.ts'
import type { Setup } from './stage.ts'

export const KINDS = [
  'studio grey',
  'studio beige',
  'studio blue',
  'studio white',
  'white on white',
  'label',
  'border',
  'holes',
  'thin',
  'horizon',
  'mirror',
  'dark',
  'phone',
  'glass',
  'shadow',
] as const
export type Kind = (typeof KINDS)[number]

export const RECIPES: Record<Kind, { tune: Shapes; report: Shapes; recipe: Recipe }> = {
  'studio grey': studio([shapes.mug, shapes.bottle, shapes.sneaker, shapes.carton], [214, 215, 218]),
  'studio beige': studio([shapes.bowl, shapes.vase, shapes.mug, shapes.sofa], [226, 214, 196]),
  'studio blue': studio([shapes.sneaker, shapes.carton, shapes.vase, shapes.bottle], [150, 180, 214]),
  'studio white': studio([shapes.bottle, shapes.mug, shapes.carton, shapes.speaker], [250, 250, 250]),
  'white on white': {
    tune: [shapes.vase, shapes.mug, shapes.carton, shapes.bowl, shapes.sofa],
    report: [other.kettle, other.tin, other.cushion, other.toaster, other.boot],
    recipe: (random, shape, second) => {
      const white = random.between(246, 255)
      const colour: Colour = [white, white - random.between(0, 3), white - random.between(0, 6)]
      return {
        ...standing(random, { shape, paint: paintWith(random, { colour, depth: random.between(0.1, 0.2) }) }),
        backdrop: { colour: same(random.between(247, 256)), fall: [random.between(-3, 3), second ? -4 : 2] },
        shadow: { contact: random.between(0.2, 0.4), cast: [soft(random, second)] },
      }
    },
  },
  label: {
    tune: [shapes.bottle, shapes.wrapped, shapes.carton, shapes.wrapped, shapes.ruled],
    report: [other.jar, other.tin, other.jar, other.tin],
    recipe: (random, shape, second) => {
      const colour = random.pick<Colour>([same(250), [226, 214, 196], [198, 210, 220], same(232)] as const)
      const paint = paintWith(random, { colour: random.pick(VIVID), accent: colour, depth: random.between(0.25, 0.4) })
      return {
        ...standing(random, { shape, paint }),
        backdrop: { colour, fall: [random.between(-5, 5), second ? 6 : -4], glow: 5 },
        shadow: { contact: 0.4, cast: [soft(random, second)] },
      }
    },
  },
  border: {
    tune: [shapes.sofa, shapes.sofa, shapes.mug, shapes.bottle, shapes.carton],
    report: [other.bed, other.bed, other.kettle, other.boot, other.basket],
    recipe: (random, shape, second, variant) => {
      const paint = paintWith(random, { colour: random.pick(VIVID), depth: 0.4 })
      const across = variant < 2
      return {
        product: { shape, paint },
        place: across
          ? { x: 0.5, foot: random.between(0.85, 0.95), side: 0.7, wide: random.between(1.9, 2.2) }
          : random.pick<Setup['place']>([
              { x: random.between(0.02, 0.2), foot: 0.85, side: 0.7 },
              { x: 0.9, foot: 0.9, side: 0.8 },
              { x: 0.5, foot: random.between(1.1, 1.2), side: 0.85 },
            ] as const),
        backdrop: {
          colour: random.pick<Colour>([
            [228, 226, 222],
            [206, 214, 208],
            [240, 238, 232],
          ] as const),
          fall: [random.between(-12, 12), -8],
          glow: second ? 10 : 0,
        },
        shadow: { contact: 0.45, cast: across ? [] : [soft(random, second)] },
      }
    },
  },
  holes: {
    tune: [shapes.mug, shapes.scissors, shapes.ring, shapes.chair, shapes.rack, shapes.crate],
    report: [other.basket, other.keys, other.headphones, other.stool, other.spectacles],
    recipe: (random, shape, second, variant) => {
      const paint = paintWith(random, { colour: random.pick(VIVID), accent: random.pick(VIVID), depth: 0.45 })
      const lying = variant === 1 || variant === 4
      return {
        ...standing(random, { shape, paint }),
        backdrop: { colour: plain(random), fall: [random.between(-8, 8), -6], glow: second ? 8 : 0 },
        shadow: lying
          ? { cast: [{ lean: 0.02, rise: 0.985, blur: 0.012, depth: second ? 0.3 : 0.4 }] }
          : { contact: 0.45, cast: [soft(random, second)] },
      }
    },
  },
  thin: {
    tune: [shapes.lamp, shapes.earphones, shapes.rack, shapes.chair],
    report: [other.hanger, other.plant, other.bicycle, other.spectacles],
    recipe: (random, shape, second) => ({
      ...standing(random, {
        shape,
        paint: paintWith(random, { colour: random.pick(VIVID), accent: random.pick(VIVID) }),
      }),
      backdrop: { colour: plain(random), fall: [random.between(-8, 8), 5] },
      shadow: { contact: 0.35, cast: second ? [] : [soft(random, second)] },
    }),
  },
  horizon: {
    tune: [shapes.vase, shapes.chair, shapes.sofa, shapes.speaker, shapes.lamp],
    report: [other.stool, other.plant, other.boot, other.kettle, other.bed],
    recipe: (random, shape, second) => ({
      ...standing(random, { shape, paint: paintWith(random, { colour: random.pick(VIVID) }) }),
      backdrop: {
        colour: random.pick<Colour>([
          [222, 220, 214],
          [190, 200, 206],
          [236, 230, 220],
        ] as const),
        fall: [random.between(-10, 10), 6],
        floor: {
          colour: random.pick<Colour>([
            [168, 140, 110],
            [150, 152, 156],
            [205, 200, 194],
            [120, 92, 70],
          ] as const),
          top: random.between(0.6, 0.78),
          tilt: second ? random.between(-0.05, 0.05) : 0,
          soft: random.pick([0.003, 0.01, 0.06] as const),
        },
      },
      shadow: { contact: 0.5, cast: [soft(random, second)] },
    }),
  },
  mirror: {
    tune: [shapes.bottle, shapes.speaker, shapes.vase, shapes.carton],
    report: [other.jar, other.toaster, other.boot, other.tin],
    recipe: (random, shape, second) => ({
      ...standing(random, { shape, paint: paintWith(random, { colour: random.pick(VIVID) }) }, 0.75),
      backdrop: { colour: plain(random), fall: [0, second ? 8 : -8] },
      shadow: { contact: 0.2 },
      mirror: random.between(0.15, 0.4),
    }),
  },
  dark: {
    tune: [shapes.speaker, shapes.mug, shapes.sneaker, shapes.bottle],
    report: [other.headphones, other.boot, other.toaster, other.kettle],
    recipe: (random, shape, second) => {
      const level = random.between(14, 40)
      const paint = paintWith(random, {
        colour: same(level + random.between(28, 55)),
        accent: same(level + 60),
        depth: random.between(0.25, 0.45),
      })
      return {
        ...standing(random, { shape, paint }),
        backdrop: { colour: [level, level, level + (second ? 5 : 0)], glow: random.between(0, 12) },
        shadow: { contact: 0.5 },
        camera: { noise: random.between(1.5, 3), blotch: 1.2, vignette: random.between(0.1, 0.4), quality: 86 },
      }
    },
  },
  phone: {
    tune: [shapes.mug, shapes.sneaker, shapes.carton, shapes.bowl],
    report: [other.jar, other.cushion, other.kettle, other.boot],
    recipe: (random, shape, second) => ({
      ...standing(random, { shape, paint: paintWith(random, { colour: random.pick(VIVID) }) }),
      backdrop: {
        colour: random.pick<Colour>([
          [205, 196, 180],
          [180, 184, 190],
          [222, 218, 210],
        ] as const),
        fall: [random.between(-25, 25), random.between(-20, 20)],
        grain: second ? 4 : 0,
      },
      shadow: { contact: 0.5, cast: [soft(random, second), soft(random, !second)] },
      camera: {
        noise: random.between(4, 8),
        blotch: random.between(2, 4),
        vignette: random.between(0.2, 0.5),
        focus: random.between(0.8, 1.6),
        quality: 80,
      },
    }),
  },
  glass: {
    tune: [shapes.tumbler],
    report: [other.goblet],
    recipe: (random, shape, second) => {
      const colour = random.pick<Colour>([
        [235, 236, 238],
        [196, 206, 214],
        [214, 204, 190],
      ] as const)
      const accent = random.pick<Colour>([
        [200, 140, 40],
        [150, 20, 40],
        [120, 180, 200],
      ] as const)
      return {
        ...standing(random, { shape, paint: paintWith(random, { colour, accent }) }),
        backdrop: { colour, fall: [random.between(-8, 8), second ? 8 : -8] },
        shadow: { contact: 0.3 },
      }
    },
  },
  shadow: {
    tune: [shapes.vase, shapes.bottle, shapes.sneaker, shapes.carton, shapes.chair],
    report: [other.jar, other.stool, other.boot, other.plant, other.toaster],
    recipe: (random, shape, second, variant) => {
      const lean = random.between(0.5, 1.2) * random.pick([-1, 1] as const)
      const hard = variant % 2 === 0
      return {
        ...standing(random, { shape, paint: paintWith(random, { colour: random.pick(VIVID) }) }, 0.8, 0.6),
        backdrop: { colour: plain(random), fall: [random.between(-8, 8), -6] },
        shadow: {
          contact: 0.4,
          cast: [
            {
              lean,
              rise: second ? random.between(-0.3, -0.5) : random.between(0.25, 0.5),
              blur: hard ? 0.004 : random.between(0.03, 0.06),
              depth: random.between(0.25, 0.55),
            },
          ],
        },
      }
    },
  },
}

export const OTHERS: Record<string, Shapes> = {
  'studio grey': [other.kettle, other.boot, other.toaster, other.tin],
  'studio beige': [other.jar, other.cushion, other.plant, other.basket],
  'studio blue': [other.toaster, other.kettle, other.tin, other.boot],
  'studio white': [other.boot, other.jar, other.headphones, other.kettle],
}
