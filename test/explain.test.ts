import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { cutoutKey } from '../lib/cutout.ts'
import { explain } from '../lib/explain.ts'
import { plain } from '../lib/layout.ts'
import { photo } from './helpers/cloud.ts'
import { type Commanded, startCommanded } from './helpers/command.ts'
import { partsOf } from './helpers/uploads.ts'

const ENVIRONMENT = {
  SOURCE_PREFIXES: 'uploads/, other/',
  ON_UPLOAD: 'uploads/: plain',
  MAX_SOURCE_BYTES: '100000',
  ON_DELETE: 'remove',
}

describe('explain says why there is no cutout', () => {
  let it_: Commanded
  let body: Buffer
  beforeAll(async () => {
    it_ = await startCommanded(ENVIRONMENT)
    body = await photo()
  })
  afterEach(async () => {
    it_.cloud.faults.set([])
    await it_.cloud.reset()
  })
  afterAll(() => it_.cloud.close())

  /** What it says at the end, and that it cost nothing. */
  async function told(key: string, { cloud, command } = it_): Promise<string> {
    const before = cloud.cos.bill().length
    const { code, printed } = await command('explain', key)
    expect([code, cloud.cos.bill().length]).toEqual([0, before])
    return printed.filter((line) => /^[A-Z`]/.test(line)).join(' ')
  }
  async function put(key: string, bytes: string | Uint8Array = body, headers: Record<string, string> = {}) {
    const seconds = Math.floor(it_.cloud.clock.now() / 1000)
    const url = it_.cloud.bucket.presign(key, seconds - 60, seconds + 60, { method: 'PUT', headers })
    const answer = await fetch(url, {
      method: 'PUT',
      body: new Uint8Array(typeof bytes === 'string' ? Buffer.from(bytes) : bytes),
      headers: { 'content-type': 'image/jpeg', ...headers },
    })
    expect(answer.status).toBe(200)
    return (answer.headers.get('etag') ?? '').replaceAll('"', '')
  }
  const quiet = () => it_.cloud.faults.set([{ on: 'Event', kind: 'drop' }])
  const claim = (cutout: string, more: object = {}, attempt = 0) =>
    it_.cloud.bucket.put(
      `.matting/claims/${cutout}/${attempt}`,
      JSON.stringify({ id: 'another', asker: 'url', seconds: 6, ...more }),
      { type: 'application/json' },
    )

  it('it does not lie in a source folder', async () => {
    expect(await told('elsewhere/a.jpg')).toBe(
      'It has none because it does not lie in a source folder. SOURCE_PREFIXES names the source folders; a key begins with one, and has no / in front.',
    )
  })

  it('it is a cutout', async () => {
    expect(await told(`uploads/a.jpg/${'0'.repeat(32)}-plain.png`)).toMatch('because it is itself a cutout')
  })

  it('there is no photo', async () => {
    expect(await told('uploads/a.jpg')).toBe('There is no such photo in photos-1250000000.')
  })

  it.each([
    ['because it is empty', 'uploads/a.jpg', '', {}],
    [
      'because neither its type nor its name is that of a picture',
      'uploads/a.txt',
      'text',
      { 'content-type': 'text/plain' },
    ],
    ['because its own metadata say so', 'uploads/a.jpg', 'a', { 'x-cos-meta-matting': 'off' }],
    [
      'because its metadata names a preset that does not exist: nope. The presets are',
      'uploads/a.jpg',
      'a',
      { 'x-cos-meta-matting': 'nope' },
    ],
    ['because ON_UPLOAD names no layouts for its folder', 'other/a.jpg', 'a', {}],
    ['(too-large)', 'uploads/a.jpg', Buffer.alloc(100_001), {}],
  ] as const)('%s', async (why, key, bytes, headers) => {
    await put(key, bytes, headers)
    expect(await told(key)).toContain(`It has none ${why}`)
  })

  it('the vendor found no product, or no picture', async () => {
    await put('uploads/blank.jpg', await photo('#e4e4e6'))
    await put('uploads/none.jpg', 'no picture')
    await it_.cloud.scf.idle()
    expect(await told('uploads/blank.jpg')).toContain('(no-product): No product was found')
    expect(await told('uploads/none.jpg')).toContain('(not-an-image): The photo cannot be read')
  })

  it('somebody is making it, and until when he may', async () => {
    it_.cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    await put('uploads/a.jpg')
    await expect.poll(() => it_.cloud.faults.held()).toHaveLength(1)
    expect(await told('uploads/a.jpg')).toMatch(
      /^It is being made \(plain\): the right to pay was claimed for an upload and ends \S+Z\. /,
    )
    it_.cloud.faults.release()
    await it_.cloud.scf.idle()
    expect(await told('uploads/a.jpg')).toBe('It has all that is made at upload: plain.')
  })

  it('an attempt made nothing in its time', async () => {
    quiet()
    const etag = await put('uploads/a.jpg')
    await claim(cutoutKey('cutouts/', { key: 'uploads/a.jpg', etag }, plain))
    it_.cloud.clock.advance(10_000)
    expect(await told('uploads/a.jpg')).toMatch(
      /^It has none: the last attempt, for an image URL \S+Z, made nothing\. The next event/,
    )
  })

  it('the photo changes too fast', async () => {
    quiet()
    await put('uploads/a.jpg')
    for (let i = 0; i < 10; i++)
      await claim(cutoutKey('cutouts/', { key: 'uploads/a.jpg', etag: `${i}`.repeat(32) }, plain))
    expect(await told('uploads/a.jpg')).toContain('(changing-too-fast)')
  })

  it('the vendor refuses the account', async () => {
    it_.cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied' }])
    await put('uploads/a.jpg')
    await it_.cloud.scf.idle()
    expect(await told('uploads/a.jpg')).toContain('(denied)')
  })

  it('the calls of the day are used up', async () => {
    const limited = await startCommanded({ DAILY_LIMIT: '0' })
    onTestFinished(() => limited.cloud.close())
    await limited.cloud.upload('uploads/a.jpg', body)
    expect(await told('uploads/a.jpg', limited)).toContain('(limit-reached)')
  })

  it('its event never came, and it has replaced another photo', async () => {
    await put('uploads/a.jpg')
    await it_.cloud.scf.idle()
    quiet()
    await put('uploads/b.jpg')
    expect(await told('uploads/b.jpg')).toMatch(
      /^It has none \(plain\) because nobody has tried in the last day: [^.]*\. `doctor` says/,
    )
    await put('uploads/a.jpg', await photo('#2040b0'))
    expect(await told('uploads/a.jpg')).toContain('There are cutouts of the photo that it has replaced.')
    const { printed } = await it_.command('explain', 'uploads/a.jpg')
    expect(printed.filter((line) => line.startsWith('former    cutouts/uploads/a.jpg/'))).toHaveLength(1)
  })

  it('no trigger gives the function what arrives there', async () => {
    quiet()
    await put('uploads/a.jpg')
    const { why, advice } = await explain(partsOf(it_.cloud), 'uploads/a.jpg', { hasTrigger: false })
    expect(why).toMatch(/nobody asked for its URL, and no trigger gives the function what arrives in this folder\.$/)
    expect(advice).toMatch(/^`deploy` makes the trigger/)
  })

  it('its event waits', async () => {
    it_.cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 60_000 }])
    await put('uploads/a.jpg')
    expect(await told('uploads/a.jpg')).toBe('It has none yet: its event is waiting, or being handled.')
    it_.cloud.clock.advance(60_000)
    await it_.cloud.scf.idle()
    expect(await told('uploads/a.jpg')).toBe('It has all that is made at upload: plain.')
  })

  it('its event was given up, and replay makes it, once', async () => {
    it_.cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    await put('uploads/a b+%.jpg')
    await it_.cloud.scf.idle()
    it_.cloud.faults.set([])
    expect(await told('uploads/a b+%.jpg')).toMatch(
      /^It has none because its event was given up: .* `replay` delivers it again/,
    )
    expect((await it_.command('replay', '--dry-run')).printed).toEqual([
      'Letters: 1, unreadable: 0. Events that would be given to the upload function again: 1.',
    ])
    expect((await it_.command('replay')).code).toBe(0)
    await it_.cloud.scf.idle()
    expect(await told('uploads/a b+%.jpg')).toBe('It has all that is made at upload: plain.')
    expect([it_.cloud.cos.bill().length, it_.cloud.scf.deadLetters()]).toEqual([1, []])
  })

  it('shows what is known: cutouts, claims, receipts and events, as JSON too', async () => {
    await put('uploads/mug.jpg')
    await it_.cloud.scf.idle()
    const { printed } = await it_.command('explain', 'uploads/mug.jpg', '--json')
    const told = JSON.parse(printed.join('\n'))
    expect(told).toMatchObject({
      key: 'uploads/mug.jpg',
      photo: { type: 'image/jpeg', size: body.length },
      layouts: ['plain'],
      missing: [],
      isAllowed: true,
      made: [{ layout: 'plain', current: true, beside: false }],
      attempts: [{ asker: 'trigger', number: 0, standing: 'held', current: true }],
      receipts: [{ asker: 'trigger', outcome: 'bought', source: 'uploads/mug.jpg' }],
      happenings: [{ function: 'upload', outcome: 'cut' }],
    })
  })
})
