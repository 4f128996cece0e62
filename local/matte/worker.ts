import { parentPort } from 'node:worker_threads'
import sharp from 'sharp'
import type { Layout } from '../layout.ts'
import { cut, type Stage } from './cut.ts'
import { ImageError } from './error.ts'

export interface Task {
  image: Uint8Array
  layouts: Layout[]
}

/** Comes before the answer, any number of times. */
export interface Note {
  stage: Stage
}

export type Answer =
  | { cutouts: { png: Uint8Array; width: number; height: number; blank: boolean }[] }
  | { code: ImageError['code']; message: string }
  | { message: string }

// To save memory, no pixels are kept between jobs, and libvips runs no threads of its own.
sharp.cache(false)
sharp.concurrency(1)

parentPort?.on('message', async ({ image, layouts }: Task) => {
  let answer: Answer
  const moved: ArrayBuffer[] = []
  try {
    answer = { cutouts: await cut(image, layouts, (stage) => parentPort?.postMessage({ stage } satisfies Note)) }
    // They are moved and not copied, because they may be hundreds of megabytes.
    for (const { png } of answer.cutouts) if (png.buffer instanceof ArrayBuffer) moved.push(png.buffer)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    answer = error instanceof ImageError ? { code: error.code, message } : { message }
  }
  parentPort?.postMessage(answer, moved)
})
