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

interface InHand extends Omit<CuttingPicture, 'ms'> {
  since: number
}

/** @param clock that of the local cloud */
export function createCutting(matte: Matte, { now, after }: Clock): Cutting {
  const inHand = new Set<InHand>()
  const listeners = new Set<(picture: CuttingPicture) => void>()
  const describe = ({ since, ...picture }: InHand): CuttingPicture => ({ ...picture, ms: now() - since })
  const tell = (picture: InHand) => {
    const told = describe(picture)
    if (told.ms >= LONG) for (const listener of listeners) listener(told)
  }
  return {
    async cut(photo, layouts, key) {
      const picture: InHand = { key, stage: 'wait', since: now() }
      inHand.add(picture)
      const stop = after(LONG, () => tell(picture))
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
