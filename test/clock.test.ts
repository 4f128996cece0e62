import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createClock, LONGEST_TIMER } from '../local/clock.ts'
import { parseFaults } from '../local/faults.ts'
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

  it('never passes the last date that can be written, after which nothing more was answered', async () => {
    const cloud = await startForTest()
    const advance = (ms: number) =>
      fetch(`${cloud.controlUrl}/api/clock`, { method: 'POST', body: JSON.stringify({ advance: ms }) })
    for (const far of [Number.MAX_SAFE_INTEGER, 8.64e15, 7_000 * 365 * 24 * HOUR, 8_000 * 365 * 24 * HOUR, 1e300])
      await advance(far)
    expect(cloud.clock.now()).toBeLessThan(Date.UTC(10_000, 0))
    expect((await fetch(cloud.cosUrl)).headers.get('date')).toMatch(/ \d{4} /)
    expect((await advance(1e300)).status).toBe(400)
  })

  it('a wait that is longer than a timer of JavaScript does not end at once', async () => {
    const clock = createClock()
    const done: string[] = []
    const stops = [LONGEST_TIMER + 1, 60 * 24 * HOUR].map((ms) => clock.after(ms, () => done.push(`${ms}`)))
    await new Promise((go) => setTimeout(go, 20))
    expect(done).toEqual([])
    clock.advance(60 * 24 * HOUR)
    await expect.poll(() => done).toHaveLength(2)
    for (const stop of stops) stop()
    for (const ms of [LONGEST_TIMER + 1, Number.POSITIVE_INFINITY])
      expect(() => parseFaults([{ on: '*', kind: 'delay', ms }], () => true)).toThrow('faults[0].ms: expected')
    expect(() => parseFaults([{ on: 'Instance', kind: 'skew', ms: -1e300 }], () => true)).toThrow('faults[0].ms')
    expect(parseFaults([{ on: 'Instance', kind: 'skew', ms: -5 }], () => true)).toHaveLength(1)
  })
})
