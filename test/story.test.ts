import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codes } from '../lib/errors.ts'
import { createClock } from '../local/clock.ts'
import { chineseStory, failures } from '../local/page/chinese-story.ts'
import { englishStory, phrase } from '../local/page/english-story.ts'
import type { Step, Story } from '../local/page/wire.ts'
import { blank, photo, type TestCloud } from './helpers/cloud.ts'
import { createSpeaker, startInside } from './helpers/inside.ts'

const KEY = 'both/mug.jpg'

let cloud: TestCloud
beforeAll(async () => {
  const variables = {
    EVENTS: 'cutout.created, cutout.failed, source.skipped',
    SOURCE_PREFIXES: 'both/, idle/',
    PRESETS: 'card: center-layout 1, padding-layout 20x10',
    ON_UPLOAD: 'both/: plain, card',
  }
  cloud = await startInside(variables, { clock: createClock() })
})
afterAll(() => cloud.close())
beforeEach(() => cloud.reset())
afterEach(() => cloud.faults.set([]))

const speaker = createSpeaker(() => cloud)

/** The steps of a story by their names; and that both languages can tell it. */
async function told(key = KEY): Promise<Record<string, Pick<Step, 'state' | 'text'>> & { sentence: string }> {
  const story: Story = await speaker.story(key)
  expect(englishStory.reason(story.reason)).toBe(story.sentence)
  const chinese = [chineseStory.reason(story.reason)]
  for (const { said, text } of story.steps) {
    expect(phrase(englishStory, said)).toBe(text)
    chinese.push(phrase(chineseStory, said))
  }
  for (const text of chinese) expect(text).toMatch(/^(?!.*(?:undefined|NaN|\[object)).*\p{Script=Han}/u)
  // An error's code or a reason is put into words, too.
  expect(chinese.join()).not.toMatch(/denied|no-product|not-an-image|off by|no layouts/)
  const steps = story.steps.map(({ step, state, text }) => [step, { state, text }])
  return { ...Object.fromEntries(steps), sentence: story.sentence }
}

describe('the story of a photo says nothing untrue', () => {
  it('of two layouts that were claimed, paid and made at once', async () => {
    await cloud.upload(KEY, await photo())
    const { claim, paid, stored } = await told()
    expect([claim?.text, paid?.text]).toEqual([
      'Claimed for the trigger, for 2 cutouts.',
      '2 paid, the last by method three (stored).',
    ])
    expect(stored).toMatchObject({
      state: 'done',
      text: expect.stringMatching(/^There: card \([\d.]+ kB\), plain/),
    })
  })

  it('of a cutout that is gone while another is there', async () => {
    await cloud.upload(KEY, await photo())
    cloud.clock.advance(3_600_000)
    const card = (await cloud.keys('cutouts/')).find((key) => key.includes('c1'))
    await cloud.bucket.delete(card ?? '')
    const { stored, look, sentence } = await told()
    expect(stored).toMatchObject({
      state: 'missing',
      text: expect.stringMatching(/^There: plain .* Missing: c1-p20x10\.$/),
    })
    expect(look?.text).toMatch(/^Instance \d+, \w+, looked at it\.$/)
    expect(sentence).toMatch(/^It has none: the last attempt/)
  })

  it('of who has seen it: a view that is kept counts, and an answer that was lost does not', async () => {
    await cloud.upload(KEY, await photo())
    const [cutout = ''] = await cloud.keys('cutouts/')
    const seconds = Math.floor(cloud.clock.now() / 1000)
    cloud.faults.set([{ on: 'GetObject', kind: 'reset' }])
    await expect(fetch(cloud.bucket.presign(cutout, seconds - 60, seconds + 60))).rejects.toThrow()
    cloud.faults.set([])
    expect((await told()).shown).toMatchObject({ state: 'missing' })
    const view = await fetch(`${cloud.imageUrl}/plain,width=40,background=ff0000/${KEY}`)
    expect([view.status, new URL(view.url).pathname]).toEqual([200, expect.stringMatching(/-plain\/.*\.png$/)])
    expect((await told()).shown).toMatchObject({ state: 'done', text: 'A cutout was fetched, once.' })
  })

  it('of one without a product: what was made is blank', async () => {
    await cloud.upload(KEY, await blank())
    const { stored, paid, sentence } = await told()
    expect(stored).toMatchObject({ state: 'failed', text: expect.stringContaining('is blank') })
    expect([paid?.state, sentence]).toEqual(['done', expect.stringContaining('no-product')])
  })

  it('of one that replaced another: what happened to that is not its own', async () => {
    await cloud.upload(KEY, await photo())
    await cloud.upload(KEY, await photo('#2030b0'))
    const { event, paid } = await told()
    expect(event).toEqual({ state: 'done', text: expect.stringMatching(/^Delivered to .*, once\.$/) })
    expect(paid?.text).toBe('2 paid, the last by method three (stored).')
  })

  it('of one that replaced a photo whose event was given up', async () => {
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await cloud.upload(KEY, await photo())
    expect(cloud.scf.deadLetters()).toHaveLength(1)
    cloud.faults.set([])
    await cloud.upload(KEY, await photo('#2030b0'))
    const { event, stored } = await told()
    expect(event).toEqual({ state: 'done', text: expect.stringMatching(/^Delivered to .*, once\.$/) })
    expect(stored?.state).toBe('done')
  })

  it('of one that was deleted, and stored again before the function heard of it', async () => {
    cloud.faults.set([{ on: 'Cut', kind: 'hold' }])
    await cloud.bucket.put(KEY, await photo(), { type: 'image/jpeg' })
    await expect.poll(() => cloud.faults.held()).toHaveLength(1)
    await cloud.bucket.delete(KEY)
    await cloud.bucket.put(KEY, await photo(), { type: 'image/jpeg' })
    cloud.faults.set([])
    await cloud.scf.idle()
    const { event, look } = await told()
    expect([event?.text, look?.state]).toEqual([expect.stringMatching(/, once\.$/), 'done'])
  })

  it('of one that is there, when the function hears late that the one before it was deleted', async () => {
    await cloud.upload(KEY, await photo())
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 3_600_000 }])
    await cloud.bucket.delete(KEY)
    cloud.faults.set([])
    await cloud.bucket.put(KEY, await photo(), { type: 'image/jpeg' })
    const isHandled = { event: { state: 'done', text: expect.stringMatching(/, once\.$/) }, look: { state: 'done' } }
    await expect.poll(() => told()).toMatchObject(isHandled)
    cloud.clock.advance(3_600_000)
    await cloud.scf.idle()
    expect(cloud.scf.invocations().at(-1)?.logs.join()).toContain('it is there again')
    expect(await told()).toMatchObject(isHandled)
  })

  it('of a cutout that was deleted, and paid for anew because somebody asked for it', async () => {
    await cloud.upload(KEY, await photo())
    cloud.clock.advance(3_600_000)
    const card = (await cloud.keys('cutouts/')).find((key) => key.includes('c1'))
    await cloud.bucket.delete(card ?? '')
    expect((await cloud.image(`/card/${KEY}`)).headers['x-matting']).toBe('made')
    const { claim, paid } = await told()
    expect(claim?.text).toBe('Claimed for the trigger and an image URL, for 2 cutouts; once anew.')
    expect(paid?.text).toBe('3 paid, the last by method three (stored).')
    // What is paid at download is stored by nobody.
    const seconds = Math.floor(cloud.clock.now() / 1000)
    const url = cloud.bucket.presign(KEY, seconds - 60, seconds + 60, { query: { 'ci-process': 'GoodsMatting' } })
    expect([(await fetch(url)).status, cloud.cos.bill().length]).toEqual([200, 4])
    expect((await told()).paid?.text).toBe('3 paid, the last by method three (stored).')
  })

  it('of one that could not be looked at, and whose event was given up', async () => {
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await cloud.upload(KEY, await photo())
    const { event, look, announced } = await told()
    expect(event?.text).toMatch(/^Delivered 3 times, and kept as a dead letter: The vendor refused/)
    expect(look).toEqual({ state: 'failed', text: expect.stringMatching(/broke off: denied\.$/) })
    expect(announced).toEqual({ state: 'missing', text: 'Not announced yet.' })
  })

  it('of one for which the account may not pay: that is announced', async () => {
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied' }])
    await cloud.upload(KEY, await photo())
    const { look, claim, announced } = await told()
    expect([look?.state, claim?.text]).toEqual(['done', 'Claimed for the trigger, and released: denied.'])
    expect(announced).toEqual({ state: 'done', text: 'The receiver took cutout.failed.' })
  })

  it('of one in a folder without layouts: that it was skipped is announced', async () => {
    await cloud.upload('idle/mug.jpg', await photo())
    const { look, announced, sentence } = await told('idle/mug.jpg')
    expect(look).toMatchObject({ state: 'failed', text: expect.stringContaining('no layouts for its folder') })
    expect(announced).toEqual({ state: 'done', text: 'The receiver took source.skipped.' })
    expect(sentence).toMatch(/ON_UPLOAD names no layouts/)
  })

  it('of one whose event was dropped, or is on its way, after the clock was moved', async () => {
    cloud.clock.advance(3 * 86_400_000)
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    await cloud.bucket.put(KEY, await photo(), { type: 'image/jpeg' })
    expect(await told()).toMatchObject({
      event: { state: 'missing' },
      look: { state: 'missing' },
      stored: { state: 'missing' },
    })
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 3_600_000 }])
    await cloud.bucket.put(KEY, await photo('#2030b0'), { type: 'image/jpeg' })
    expect(await told()).toMatchObject({ event: { state: 'waiting' }, stored: { state: 'missing' } })
    cloud.clock.advance(3_600_000)
    await cloud.scf.idle()
    expect(await told()).toMatchObject({ event: { state: 'done' }, stored: { state: 'done' } })
  })
})

it('every error that can befall a photo has words in Chinese', () => {
  const those = [...codes].filter(([, { about }]) => about !== 'request').map(([code]) => code)
  expect(Object.keys(failures).sort()).toEqual(those.sort())
})
