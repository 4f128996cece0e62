import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { photo, putQuietly, startForTest } from './helpers/cloud.ts'

const HOUR = 3_600_000

describe('the clock of the local cloud', () => {
  it('is one for COS, its bill, the platform, its role and every instance that runs', async () => {
    const cloud = await startForTest({ instances: 1 })
    await cloud.upload('uploads/a.jpg', await photo())
    cloud.clock.advance(30 * HOUR)
    const ahead = () => cloud.clock.now() - Date.now()
    expect(ahead() / HOUR).toBeCloseTo(30, 2)
    const date = (await fetch(cloud.cosUrl)).headers.get('date') ?? ''
    expect((Date.parse(date) - Date.now()) / HOUR).toBeCloseTo(30, 1)
    // The credentials that it was given have ended.
    await cloud.upload('uploads/b.jpg', await photo('#2040b0'))
    expect(cloud.scf.invocations().map(({ cold, outcome }) => [cold, outcome])).toEqual([
      [true, 'ok'],
      [false, 'ok'],
    ])
    const [first, second] = cloud.cos.bill().map(({ at }) => Date.parse(at))
    expect(((second ?? 0) - (first ?? 0)) / HOUR).toBeCloseTo(30, 1)
    const [before, after] = cloud.scf.invocations().map(({ at }) => Date.parse(at))
    expect(((after ?? 0) - (before ?? 0)) / HOUR).toBeCloseTo(30, 1)
  })

  it('brings retries', async () => {
    const cloud = await startForTest({ retryDelay: 24 * HOUR })
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await cloud.bucket.put('uploads/a.jpg', await photo(), { type: 'image/jpeg' })
    // Each retry on another day. Before it is queued, the time of an instance that is still at it would be over.
    const queued = async () => {
      const folder = join(cloud.data, 'events/waiting')
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json'))
      const jobs = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
      return jobs.map((job) => JSON.parse(job).failures)
    }
    for (const failures of [1, 2]) {
      await expect.poll(queued).toEqual([failures])
      cloud.clock.advance(24 * HOUR)
    }
    await expect.poll(() => cloud.scf.deadLetters()).toHaveLength(1)
    expect(cloud.scf.invocations().map(({ retry }) => retry)).toEqual([0, 1, 2])
    const times = [...cloud.scf.invocations(), ...cloud.scf.deadLetters()].map(({ at }) => Date.parse(at))
    for (const i of [0, 1]) expect((times[i + 1] ?? 0) - (times[i] ?? 0)).toBeGreaterThanOrEqual(24 * HOUR)
    expect(times[3]).toBeGreaterThanOrEqual(times[2] ?? 0)
  })

  it('is moved by the control API, ahead and never back', async () => {
    const cloud = await startForTest()
    const post = (body: string) => fetch(`${cloud.controlUrl}/api/clock`, { method: 'POST', body })
    const { now } = Object(await (await post('{"advance": 3600000}')).json())
    expect((Date.parse(now) - Date.now()) / HOUR).toBeCloseTo(1, 2)
    for (const wrong of ['{"advance": -1}', '{"advance": "soon"}', '{}']) expect((await post(wrong)).status).toBe(400)
    expect((cloud.clock.now() - Date.now()) / HOUR).toBeCloseTo(1, 2)
  })
})

describe('what is held', () => {
  it('waits where it is until it is released', async () => {
    const cloud = await startForTest()
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const asked = cloud.image('/plain/uploads/mug.jpg')
    await expect.poll(() => cloud.faults.held()).toEqual(['uploads/mug.jpg'])
    expect(cloud.cos.bill()).toEqual([])
    cloud.faults.release()
    expect((await asked).status).toBe(302)
    expect([cloud.cos.bill().length, cloud.faults.held()]).toEqual([1, []])
  })

  it.each(['other faults', 'the end'])('goes on with %s', async (what) => {
    const cloud = await startForTest()
    cloud.faults.set([{ on: 'PutObject', kind: 'hold' }])
    const put = cloud.bucket.put('a', 'a', { type: 'text/plain' })
    await expect.poll(() => cloud.faults.held()).toEqual(['a'])
    if (what === 'the end') await cloud.stop()
    else cloud.faults.set([])
    expect(await put).toBe(true)
  })
})
