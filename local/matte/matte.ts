import { availableParallelism } from 'node:os'
import type { Layout } from '../layout.ts'
import type { Stage } from './cut.ts'
import { ImageError } from './error.ts'
import type { Model } from './model.ts'
import { createPool } from './pool.ts'
import type { Answer, Start, Task } from './worker.ts'

export type { Layout, Model, Stage }
export { ImageError }

/** A PNG (8-bit RGBA, sRGB) with the product on transparency; `blank` when no product was found and all is transparent. */
export interface Cutout {
  png: Buffer
  width: number
  height: number
  blank: boolean
}

export interface Matte {
  /**
   * Cuts the product out of a photo, once, and returns it in each of the layouts, in their order. `tell` is told each stage as
   * it begins, because a large photo takes seconds.
   * @throws ImageError if it is no picture, is damaged or is too large.
   */
  cut(image: Buffer, layouts: Layout[], tell?: (stage: Stage) => void): Promise<Cutout[]>
  /**
   * Which engine cuts: `own`, or the name of the network, and what runs it.
   * @throws Error in one line, if the network cannot be used
   */
  engine(): Promise<string>
  /** Ends the workers. Running and waiting jobs are rejected. */
  close(): Promise<void>
}

/**
 * Starts at most two workers by default, because each holds a whole picture in memory, and one with a network, which may take
 * gigabytes. Further jobs wait.
 */
export function createMatte({ model, workers }: { model?: Model; workers?: number } = {}): Matte {
  const size = workers ?? (model ? 1 : Math.min(2, availableParallelism()))
  const start: Start = model ? { model } : {}
  const pool = createPool<Task, Answer, Stage>(new URL('./boot.mjs', import.meta.url), size, start)
  async function ask(task: Task, tell?: (stage: Stage) => void) {
    const answer = await pool.run(task, tell)
    if ('code' in answer) throw new ImageError(answer.code, answer.message)
    if ('message' in answer) throw new Error(answer.message)
    return answer
  }
  return {
    async cut(image, layouts, tell) {
      const answer = await ask({ image, layouts }, tell)
      const cutouts = 'cutouts' in answer ? answer.cutouts : []
      return cutouts.map((cutout) => ({ ...cutout, png: toBuffer(cutout.png) }))
    },
    async engine() {
      const answer = model && (await ask('which'))
      return answer && 'engine' in answer ? answer.engine : 'own'
    },
    close: () => pool.close(),
  }
}

/** A worker returns a Buffer as a plain Uint8Array. */
function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
