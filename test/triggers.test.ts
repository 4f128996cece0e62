import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { list, text } from '../cli/api.ts'
import type { Stage } from '../cli/stage.ts'
import { photo } from './helpers/cloud.ts'
import { clear, type Deployment, dying, Killed, recording, startEmpty } from './helpers/deploy.ts'

let d: Deployment
beforeAll(async () => {
  d = await startEmpty()
})
afterAll(() => d.cloud.close())
beforeEach(() => clear(d))

/** Runs `deploy` until a run is not killed. Returns the changes that killed one, and all that were made. */
async function killedEachTime(stage: Stage): Promise<{ killers: string[]; made: string[] }> {
  const made: string[] = []
  const killers = new Set<string>()
  for (;;) {
    try {
      await d.deploy(stage, { make: dying(d.account, killers, made) })
      return { killers: [...killers], made }
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    }
  }
}

const triggers = async (FunctionName: string) => {
  const { Triggers } = await d.api({ service: 'scf', action: 'ListTriggers', params: { FunctionName } })
  return list(Triggers)
    .filter(({ Type }) => Type === 'cos')
    .map(({ TriggerDesc }) => JSON.parse(text(TriggerDesc)).filter.Prefix)
}

describe('a deployment', () => {
  it('killed after each of its changes, and run again, ends as one that ran through', async () => {
    const stage = await d.stage({ ON_DELETE: 'remove', SOURCE_PREFIXES: 'uploads/shoes/,more/' })
    // Role 3, bucket 2, logs 3, functions 2, triggers 4, URL 1.
    expect((await killedEachTime(stage)).killers).toHaveLength(15)
    const state = await d.state()
    await clear(d)
    await d.deploy(stage)
    expect(await d.state()).toEqual(state)
    // From there, all that can change: code, environment, policy, and folders that overlap.
    const next = await d.stage({ SOURCE_PREFIXES: 'uploads/', ACCESS: 'presets' })
    await d.cloud.bucket.put('uploads/shoes/a.jpg', await photo(), { type: 'image/jpeg' })
    const { killers, made } = await killedEachTime(next)
    // Noted again, the time would be too late for what was uploaded before.
    expect(made.filter((say) => say === 'note the time')).toHaveLength(1)
    expect(killers.sort()).toEqual([
      'bring its policy up to date',
      'hand over what was uploaded meanwhile',
      'more/ cos:ObjectCreated:* no longer goes to matting-upload-dev',
      'more/ cos:ObjectRemove:* no longer goes to matting-upload-dev',
      'note the time',
      'nothing was missed',
      'update the configuration of matting-image-dev',
      'update the configuration of matting-upload-dev',
      'uploads/ cos:ObjectCreated:* goes to matting-upload-dev',
      'uploads/shoes/ cos:ObjectCreated:* no longer goes to matting-upload-dev',
      'uploads/shoes/ cos:ObjectRemove:* no longer goes to matting-upload-dev',
    ])
    const changed = await d.state()
    expect(await d.cloud.keys('.matting/deploy/')).toEqual([])
    await clear(d)
    await d.deploy(next)
    expect(await d.state()).toEqual(changed)
  })

  it('to a folder beside it makes the new trigger before it takes the old one away', async () => {
    await d.deploy(await d.stage())
    const calls: string[] = []
    await d.deploy(await d.stage({ SOURCE_PREFIXES: 'photos/' }), { make: recording(d.account, calls) })
    expect(calls.filter((action) => /Trigger/.test(action))).toEqual(['CreateTrigger', 'DeleteTrigger'])
    expect(await triggers('matting-upload-dev')).toEqual(['photos/'])
  })

  it('to a folder around it, while photos are uploaded: the API allows no two triggers there, and still none is lost or paid twice', async () => {
    await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/shoes/' }))
    const paid = d.cloud.cos.bill().length
    let photos = 0
    const put = async () => d.cloud.bucket.put(`uploads/shoes/${photos++}.jpg`, await photo(), { type: 'image/jpeg' })
    const calls: string[] = []
    await d.deploy(await d.stage(), { make: recording(d.account, calls, put) })
    expect(calls.slice(3)).toEqual([
      'PUT .matting/deploy/matting-upload-dev',
      'DeleteTrigger',
      'CreateTrigger',
      ...calls.slice(6, -1).map(() => 'Invoke'),
      'DELETE .matting/deploy/matting-upload-dev',
    ])
    await d.cloud.scf.idle()
    expect(photos).toBeGreaterThanOrEqual(7)
    const cut = new Set((await d.cloud.keys('cutouts/')).map((key) => key.split('/')[3]))
    expect(cut.size).toBe(photos)
    expect(d.cloud.cos.bill()).toHaveLength(paid + photos)
  })

  it('without a trigger in the file takes away those that go on paying', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    expect(await triggers('matting-upload-dev')).toEqual(['uploads/'])
    await d.deploy({ ...stage, rules: [] })
    expect(await triggers('matting-upload-dev')).toEqual([])
  })

  it('of a second stage into the same folder says whose it is, before the API refuses it', async () => {
    await d.deploy(await d.stage())
    const calls: string[] = []
    const second = d.deploy(await d.stage({}, 'other'), { make: recording(d.account, calls) })
    await expect(second).rejects.toThrow(
      /✗ check .*uploads\/ in photos.* already goes to matting-upload-dev.*of its own/,
    )
    expect(calls).toEqual([])
  })
})
