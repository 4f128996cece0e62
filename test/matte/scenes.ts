import { seeded } from './random.ts'
import { KINDS, type Kind, OTHERS, RECIPES } from './recipes.ts'
import { type Drawn, photograph } from './stage.ts'

export { KINDS, type Kind }

export interface Scene {
  name: string
  kind: Kind
  /** The engine is tuned on the one half, and the other is only reported. */
  half: 'tune' | 'report'
  /** In its own size, or in another one of about the same shape. */
  draw(size?: readonly [width: number, height: number]): Promise<Drawn>
}

const SIZES = [
  [360, 300],
  [600, 800],
  [1000, 750],
  [900, 900],
  [480, 640],
  [1200, 900],
  [760, 500],
  [1600, 1200],
] as const
/** Four scenes of each kind or five, in each half. */
export function scenes(half: Scene['half']): Scene[] {
  const second = half === 'report'
  return KINDS.flatMap((kind, k) => {
    const { recipe, ...by } = RECIPES[kind]
    const shapes = second ? (OTHERS[kind] ?? by.report) : by.tune
    return Array.from({ length: Math.max(4, shapes.length) }, (_, variant): Scene => {
      const seed = (second ? 5000 : 1000) + k * 50 + variant
      const shape = shapes[variant % shapes.length] ?? shapes[0]
      const own = SIZES[(k * 3 + variant * 5 + (second ? 1 : 0)) % SIZES.length] ?? SIZES[0]
      return {
        name: `${kind} ${variant + 1} ${shape.name}`,
        kind,
        half,
        draw: (size = own) => {
          const random = seeded(seed)
          const partly = recipe(random, shape, second, variant)
          const camera = {
            noise: random.between(0.8, 2.2),
            focus: random.between(0.5, 1.1),
            quality: Math.round(random.between(80, 92)),
          }
          return photograph({ ...partly, camera: { ...camera, ...partly.camera }, size, seed })
        },
      }
    })
  })
}
