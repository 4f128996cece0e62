import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readConfig } from '../lib/config.ts'
import { explain } from '../lib/explain.ts'
import { createInvocation } from '../lib/invocation.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import { photo, putQuietly, type TestCloud } from './helpers/cloud.ts'
import { createSpeaker, query, startInside } from './helpers/inside.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside()
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, one, story, step, states } = createSpeaker(() => cloud)

describe('the story of a photo', () => {
  const key = 'uploads/mug.jpg'
  it('that waits', async () => {
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 3_600_000 }])
    await cloud.bucket.put(key, await photo(), { type: 'image/jpeg' })
    expect(await states(key)).toEqual({
      uploaded: 'done',
      event: 'waiting',
      look: 'waiting',
      claim: 'missing',
      paid: 'missing',
      stored: 'missing',
      announced: 'missing',
      shown: 'missing',
    })
    expect((await story(key)).sentence).toBe('It has none yet: its event is waiting, or being handled.')
  })

  it('that was cut out, announced, and shown', async () => {
    await cloud.upload(key, await photo())
    expect(await states(key)).toEqual({
      uploaded: 'done',
      event: 'done',
      look: 'done',
      claim: 'done',
      paid: 'done',
      stored: 'done',
      announced: 'done',
      shown: 'missing',
    })
    await fetch(`${cloud.imageUrl}/plain/${key}`)
    const told = await story(key)
    expect(told.sentence).toBe('It has all that is made at upload: plain.')
    expect(told.steps.at(-1)).toMatchObject({ step: 'shown', state: 'done', text: 'A cutout was fetched, once.' })
    expect(told.steps[4]?.text).toBe('1 paid, the last by method three (stored).')
  })

  it('says what the command explain says, and makes no request', async () => {
    const env = cloud.scf.serverless().functions[0]?.environment ?? {}
    const time = { now: cloud.clock.now, random: Math.random, uuid: () => 'x', deadline: Number.POSITIVE_INFINITY }
    const invocation = createInvocation(readConfig(env), { credentials: CREDENTIALS, ...time })
    await cloud.upload(key, await photo())
    await cloud.upload('uploads/text.jpg', Buffer.from('no picture at all'))
    // It never had a cutout; behind its folder lies that of another photo.
    await putQuietly(cloud, 'uploads/mua.jpg', await photo())
    for (const name of [key, 'uploads/text.jpg', 'uploads/mua.jpg']) {
      const { why, advice, attempts } = await explain(invocation, name)
      const before = cloud.cos.requests().length
      expect((await story(name)).sentence).toBe([why, advice].filter(Boolean).join(' '))
      // COS tells whole seconds.
      const [written] = attempts.map((attempt) => new Date(attempt.written).toISOString())
      expect((await step(name, 'claim'))?.at).toBe(written)
      expect(cloud.cos.requests()).toHaveLength(before)
    }
  })

  it('that its own metadata keep from being cut out', async () => {
    const headers = { 'x-cos-meta-matting': 'off', 'content-type': 'image/jpeg' }
    const seconds = Math.floor(cloud.clock.now() / 1000)
    const url = cloud.bucket.presign(key, seconds - 60, seconds + 60, { method: 'PUT', headers })
    expect((await fetch(url, { method: 'PUT', headers, body: new Uint8Array(await photo()) })).status).toBe(200)
    await cloud.scf.idle()
    expect(await states(key)).toMatchObject({ event: 'done', look: 'failed', claim: 'missing', paid: 'missing' })
    expect((await step(key, 'look'))?.text).toContain('skipped it: off by its metadata')
    expect(await step(key, 'announced')).toMatchObject({
      state: 'missing',
      text: 'source.skipped is not among EVENTS.',
    })
  })

  it('that cannot be cut out', async () => {
    await cloud.upload(key, Buffer.from('no picture at all'))
    expect(await states(key)).toMatchObject({
      event: 'done',
      look: 'done',
      paid: 'failed',
      stored: 'failed',
      announced: 'done',
    })
    expect((await story(key)).sentence).toMatch(
      /^It has none because of not-an-image: The photo cannot be read as an image\. Store it again;/,
    )
    const { mark } = await one(key)
    expect(mark).toEqual({ code: 'not-an-image', message: 'The photo cannot be read as an image.' })
  })

  it('whose event was given up', async () => {
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await cloud.upload(key, await photo())
    expect(await states(key)).toMatchObject({ event: 'failed', claim: 'missing', paid: 'missing', stored: 'missing' })
    expect((await story(key)).sentence).toMatch(
      /^It has none because its event was given up: The vendor refused the call/,
    )
  })

  it('whose answer was lost, and which was paid once all the same', async () => {
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'lose-answer', times: 1 }])
    await cloud.upload(key, await photo())
    expect(await states(key)).toMatchObject({ paid: 'done', stored: 'done' })
    expect((await story(key)).steps[4]?.text).toBe('1 paid, the last by method three (lost); 1 without an answer.')
  })

  it('is empty for what is no photo', async () => {
    for (const other of ['uploads/none.jpg', 'cutouts/x.png', ''])
      expect((await ask('GET', `/api/story${query({ key: other })}`)).json).toEqual({})
  })
})
