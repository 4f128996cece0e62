import { createHash } from 'node:crypto'
import type { Matte } from '../../local/matte/matte.ts'

/** Most tests put the same few photos, whose cutouts are always the same. */
export function remembering(engine: Matte): Matte {
  const known = new Map<string, ReturnType<Matte['cut']>>()
  return {
    ...engine,
    async cut(image, layouts) {
      const name = createHash('sha256').update(image).update(JSON.stringify(layouts)).digest('hex')
      const cutouts = known.get(name) ?? engine.cut(image, layouts)
      known.set(name, cutouts)
      return (await cutouts).map((cutout) => ({ ...cutout, png: Buffer.from(cutout.png) }))
    },
  }
}
