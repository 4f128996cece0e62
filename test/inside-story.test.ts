import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readConfig } from '../lib/config.ts'
import { explain } from '../lib/explain.ts'
import { createInvocation } from '../lib/invocation.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import type { StepName } from '../local/page/wire.ts'
import { held, photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'
import { createSpeaker, EVENTS_SECRET, query, startInside } from './helpers/inside.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside()
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, one, story, step, states, deploy } = createSpeaker(() => cloud)

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

  it('while the function is at work, and pays', async () => {
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    await cloud.bucket.put(key, await photo(), { type: 'image/jpeg' })
    await held(cloud)
    expect(await states(key)).toMatchObject({ event: 'waiting', look: 'waiting', claim: 'done', announced: 'waiting' })
    expect((await step(key, 'event'))?.text).toBe('Delivered to upload, which is at work.')
    expect((await step(key, 'look'))?.text).toMatch(/^Instance \d+, \w+, is at work\.$/)
    cloud.faults.release()
    await cloud.scf.idle()
  })

  it('while somebody who asked for its cutout pays, though its event never came', async () => {
    await putQuietly(cloud, key, await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const answer = cloud.image(`/plain/${key}`)
    await held(cloud)
    expect(await states(key)).toMatchObject({ event: 'missing', claim: 'done', paid: 'waiting', stored: 'waiting' })
    cloud.faults.release()
    expect((await answer).status).toBe(302)
  })

  it('that comes again, was cut out at last, and that nobody was told of', async () => {
    const hour = 3_600_000
    // No events are taken there, and the sender is told so at once.
    const environment = { EVENTS_URL: cloud.controlUrl, EVENTS_SECRET }
    const own = await startForTest({ retryDelay: hour, environment })
    const { step, configure } = createSpeaker(() => own)
    const text = async (name: StepName) => {
      const { state, text } = (await step(key, name)) ?? {}
      return `${state}: ${text}`
    }
    own.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied', times: 1 }])
    await own.bucket.put(key, await photo(), { type: 'image/jpeg' })
    await expect.poll(() => text('event')).toBe('waiting: Delivered once without success; it is delivered again.')
    own.clock.advance(hour)
    await expect.poll(() => text('event')).toBe('waiting: Delivered 2 times without success; it is delivered again.')
    expect(await text('announced')).toBe('waiting: The receiver did not take the event.')
    own.clock.advance(hour)
    await own.scf.idle()
    expect(await text('announced')).toBe('failed: The receiver did not take the event.')
    configure({ EVENTS_URL: '' })
    expect(await text('announced')).toBe('missing: Nobody is told: EVENTS_URL is not set.')
  })

  it('that was cut out at the second delivery, and announced', async () => {
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied', times: 1 }])
    await cloud.upload(key, await photo())
    expect((await step(key, 'event'))?.text).toBe('Delivered to upload, 2 times.')
    expect((await step(key, 'announced'))?.text).toBe('The receiver took cutout.created.')
  })

  it('whose cutout came from elsewhere, or which no trigger is for', async () => {
    await putQuietly(cloud, key, await photo())
    expect((await step(key, 'event'))?.text).toContain('remembers no event')
    deploy(() => ({}), { prefix: 'other/' })
    expect((await step(key, 'event'))?.text).toBe('No trigger gives the function what arrives in this folder.')
    await cloud.bucket.put(`cutouts/${key}/${(await one(key)).etag}-plain.png`, 'x', { type: 'image/png' })
    expect(await step(key, 'paid')).toMatchObject({
      state: 'missing',
      text: 'The bill has nothing about these cutouts.',
    })
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
    expect((await story(key)).sentence).toMatch(
      /^It has none because its own metadata say so \(x-cos-meta-matting: off\)/,
    )
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
      /^It has none \(not-an-image\): The photo cannot be read as an image\. Store it again;/,
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
