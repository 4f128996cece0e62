import { readFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Line, lines } from '../local/talk.ts'
import { photo, startTestCloud } from './helpers/cloud.ts'

/** A cloud, and what `npm start` would say of it, but for the milliseconds. */
async function start(options: Parameters<typeof startTestCloud>[0] = {}) {
  const cloud = await startTestCloud(options)
  onTestFinished(() => cloud.close())
  const said: Line[] = []
  cloud.scf.watch((told) => said.push(...lines(told)))
  const heard = () =>
    said.splice(0).map(({ tone, text }) => `${tone}: ${text.replace(/\d+ ms/, '1 ms').replace(/ {2,}/, ' ')}`)
  return { cloud, heard }
}

describe('what npm start says', () => {
  it('of a photo: what was cut, paid, refused, tried again and given up', async () => {
    const { cloud, heard } = await start({ environment: { ON_UPLOAD: 'uploads/: plain, card', ON_DELETE: 'remove' } })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(heard()).toEqual(['made: photo uploads/mug.jpg → plain, c1-p20x10 in 1 ms, 2 paid'])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(heard()).toEqual(['there: photo uploads/mug.jpg → plain, c1-p20x10 in 1 ms, nothing paid'])
    await cloud.bucket.put('uploads/a\u001b[2J.txt', 'text', { type: 'text/plain' })
    await cloud.scf.idle()
    expect(heard()).toEqual(['refused: photo uploads/a?[2J.txt skipped: not an image by its type'])
    await cloud.upload('uploads/no.jpg', Buffer.from('no picture'))
    expect(heard()).toEqual([
      'failed: photo uploads/no.jpg failed: not-an-image, The photo cannot be read as an image.',
    ])
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied', prefix: 'uploads/' }])
    await cloud.upload('uploads/two words.jpg', await photo('#2040b0'))
    const why = 'The vendor refused the call: permissions, activation or the account'
    expect(heard()).toEqual([
      ...[1, 2, 3].map(() => `failed: photo uploads/two words.jpg failed: denied, ${why}.`),
      `failed: given up uploads/two%20words.jpg: ${why}; POST /api/dead-letters/replay delivers it again`,
    ])
    await cloud.bucket.delete('uploads/mug.jpg')
    await cloud.scf.idle()
    expect(heard()).toEqual(['there: photo uploads/mug.jpg was deleted, and 2 cutouts with it'])
    await cloud.scf.push('upload', { no: 'event' })
    await cloud.scf.idle()
    expect(heard().at(-1)).toMatch(/^failed: given up an event that is none: /)
  })

  it('of an image URL: what was answered, made and paid', async () => {
    const { cloud, heard } = await start({ environment: { ON_UPLOAD: 'uploads/: plain' } })
    await cloud.upload('uploads/mug.jpg', await photo())
    heard()
    for (const path of ['/card/uploads/mug.jpg', '/card/uploads/mug.jpg', '/nope/uploads/mug.jpg', '/'])
      await cloud.image(path)
    expect(heard()).toEqual([
      'made: image GET /card/uploads/mug.jpg → 302 made in 1 ms, 1 paid',
      'there: image GET /card/uploads/mug.jpg → 302 hit in 1 ms',
      'refused: image GET /nope/uploads/mug.jpg → 400 bad-layout, No such preset; there are: plain, card.',
      'there: image GET / → 200 in 1 ms',
    ])
  })

  it('puts a photo where no function is, and does not promise its cutout', async () => {
    const cloud = await startTestCloud({ empty: true })
    onTestFinished(() => cloud.close())
    const answer = await fetch(`${cloud.controlUrl}/uploads/a.jpg`, {
      method: 'PUT',
      body: new Uint8Array(await photo()),
    })
    expect(await answer.text()).toBe('uploads/a.jpg is in the bucket. No function is there yet.\n')
    expect(await cloud.keys('uploads/')).toEqual(['uploads/a.jpg'])
  })

  it('puts a photo for somebody who signs nothing, and says where its cutout is', async () => {
    const { cloud, heard } = await start()
    const put = async (path: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(`${cloud.controlUrl}${path}`, { method: 'PUT', body: new Uint8Array(body), headers })
      return [answer.status, await answer.text()]
    }
    let body = await photo()
    const url = `${cloud.imageUrl}/plain/uploads/my%20own%20100%25.jpg`
    expect(await put('/uploads/my%20own%20100%25.jpg')).toEqual([
      200,
      `uploads/my own 100%.jpg is in the bucket. Its cutout: ${url}\n`,
    ])
    await cloud.scf.idle()
    expect(heard()).toEqual(['made: photo uploads/my own 100%.jpg → plain in 1 ms, 1 paid'])
    expect((await fetch(url)).headers.get('content-type')).toBe('image/png')
    // What curl prints, a terminal obeys.
    expect((await put('/uploads/a%1b%5b2J.jpg'))[1]).toMatch(
      /^uploads\/a\?\[2J\.jpg is in the bucket\. .*a%1B%5B2J\.jpg\n$/,
    )
    await cloud.scf.idle()
    await cloud.bucket.delete('uploads/a\u001b[2J.jpg')
    // It would be skipped, so no cutout is promised.
    expect(await put('/uploads/notes.txt')).toEqual([
      400,
      expect.stringContaining('put: not an image by its type and name.'),
    ])
    body = Buffer.alloc(32 * 1024 * 1024 + 1)
    expect(await put('/uploads/big.jpg')).toEqual([400, expect.stringContaining('at most 32 MiB')])
    for (const [path, why] of [
      ['/', 'the photo has no name'],
      ['/uploads/', 'the photo has no name'],
      ['/other/a.jpg', 'not in a source folder'],
    ] as const)
      expect(await put(path)).toEqual([
        400,
        expect.stringContaining(`Nothing was put: ${why}. PUT a photo to /uploads/`),
      ])
    // A page of the web could fill the bucket, and have it paid for.
    expect((await put('/uploads/evil.jpg', { origin: 'https://evil.example' }))[0]).toBe(403)
    expect(await cloud.keys('uploads/')).toEqual(['uploads/my own 100%.jpg'])
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('is what the README’s first screen asks for', () => {
    expect(readFileSync('README.md', 'utf8')).toContain('curl -T photo.jpg http://127.0.0.1:4512/uploads/')
  })
})
