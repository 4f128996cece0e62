import { parentPort, workerData } from 'node:worker_threads'
import sharp from 'sharp'
import type { Layout } from '../layout.ts'
import { cut, type Stage } from './cut.ts'
import { ImageError } from './error.ts'
import type { Model } from './model.ts'
import type { Network } from './network.ts'

export interface Photo {
  image: Uint8Array
  layouts: Layout[]
}

/** What to cut, or a question: which engine is it that cuts? It finds out what is wrong with a network. */
export type Task = Photo | 'which'

/** What a worker begins with. */
export interface Start {
  model?: Model
}

/** Comes before the answer, any number of times. */
export interface Note {
  stage: Stage
}

export type Answer =
  | { cutouts: { png: Uint8Array; width: number; height: number; blank: boolean }[] }
  | { engine: string }
  | { code: ImageError['code']; message: string }
  | { message: string }

// To save memory, no pixels are kept between jobs, and libvips runs no threads of its own.
sharp.cache(false)
sharp.concurrency(1)

const { model }: Start = workerData ?? {}
let network: Promise<Network> | undefined

/** What reads networks is loaded only where there is one. */
async function open(model: Model): Promise<Network> {
  const { openNetwork } = await import('./network.ts')
  return openNetwork(model, () => performance.now())
}

parentPort?.on('message', async (task: Task) => {
  let answer: Answer
  const moved: ArrayBuffer[] = []
  try {
    network ??= model && open(model)
    const opened = await network
    if (task === 'which') answer = { engine: opened?.name ?? 'own' }
    else {
      const tell = (stage: Stage) => parentPort?.postMessage({ stage } satisfies Note)
      answer = { cutouts: await cut(task.image, task.layouts, tell, opened?.see) }
      // They are moved and not copied, because they may be hundreds of megabytes.
      for (const { png } of answer.cutouts) if (png.buffer instanceof ArrayBuffer) moved.push(png.buffer)
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    answer = error instanceof ImageError ? { code: error.code, message } : { message }
  }
  parentPort?.postMessage(answer, moved)
})
