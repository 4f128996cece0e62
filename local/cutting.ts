import type { Clock } from './clock.ts'
import type { Cutout, Layout, Matte } from './matte/matte.ts'
import type { CuttingPicture } from './page/wire.ts'

/** After so long, in milliseconds, somebody who waits for a picture wants to know how far it is. */
const LONG = 2_000

/** The engine, and which pictures it has in hand. */
export interface Cutting {
  /** As the engine's, for a picture of this name. */
  cut(photo: Buffer, layouts: Layout[], key: string): Promise<Cutout[]>
  /** Those in hand, the longest first. */
  list(): CuttingPicture[]
  /** Is told of a picture that takes longer, and of each of its stages from then on. The returned function ends that. */
  watch(listener: (picture: CuttingPicture) => void): () => void
}

/** @param clock that of the local cloud */
export function createCutting(matte: Matte, { now, after }: Clock): Cutting {
  const inHand = new Set<{ key: string; stage: CuttingPicture['stage']; since: number; long: boolean }>()
  const listeners = new Set<(picture: CuttingPicture) => void>()
  type InHand = typeof inHand extends Set<infer Each> ? Each : never
  const describe = ({ key, stage, since }: InHand): CuttingPicture => ({ key, stage, ms: now() - since })
  const tell = (picture: InHand) => {
    if (picture.long) for (const listener of listeners) listener(describe(picture))
  }
  return {
    async cut(photo, layouts, key) {
      const picture: InHand = { key, stage: 'wait', since: now(), long: false }
      inHand.add(picture)
      const stop = after(LONG, () => {
        picture.long = true
        tell(picture)
      })
      try {
        return await matte.cut(photo, layouts, (stage) => {
          picture.stage = stage
          tell(picture)
        })
      } finally {
        stop()
        inHand.delete(picture)
      }
    },
    list: () => [...inHand].map(describe),
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
