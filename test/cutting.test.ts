import { EventEmitter, once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Stage } from '../local/matte/matte.ts'
import type { CuttingPicture } from '../local/page/wire.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { createSpeaker } from './helpers/inside.ts'
import { trivial } from './helpers/trivial.ts'

/** An engine that does each stage when it is told to, and an emitter that tells it. */
const steps = new EventEmitter()
let began = 0

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud({
    matte: {
      ...trivial,
      async cut(image, layouts, tell) {
        began++
        for (;;) {
          const [stage]: (Stage | undefined)[] = await once(steps, 'stage')
          if (!stage) return trivial.cut(image, layouts)
          tell?.(stage)
        }
      },
    },
  })
})
afterAll(() => cloud.close())
const { ask, listen } = createSpeaker(() => cloud)

it('tells how far a picture is that takes longer than two seconds, and nothing of one that does not', async () => {
  const live = await listen()
  const stages = () => live.of('cutting').map(({ stage }) => stage)
  await cloud.bucket.put('uploads/a.jpg', await photo(), { type: 'image/jpeg' })
  await expect.poll(() => began).toBe(1)
  steps.emit('stage', 'decode')
  expect((await ask('GET', '/api/cutting')).json).toMatchObject([{ key: 'uploads/a.jpg', stage: 'decode' }])
  expect(stages()).toEqual([])
  cloud.clock.advance(2_000)
  await expect.poll(stages).toEqual(['decode'])
  steps.emit('stage', 'mask')
  await expect.poll(stages).toEqual(['decode', 'mask'])
  expect(live.of('cutting')[0]).toMatchObject({ key: 'uploads/a.jpg' })
  const [picture] = (await ask<CuttingPicture[]>('GET', '/api/cutting')).json
  expect(picture?.ms).toBeGreaterThanOrEqual(2_000)
  steps.emit('stage')
  await cloud.scf.idle()
  expect((await ask('GET', '/api/cutting')).json).toEqual([])
  expect(stages()).toEqual(['decode', 'mask'])
})
