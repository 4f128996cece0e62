import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { FaultPreset } from '../local/page/wire.ts'
import { createPage } from '../local/serve.ts'
import { photo, type TestCloud } from './helpers/cloud.ts'
import { authorization, sendRaw } from './helpers/cos.ts'
import { createSpeaker, query, startInside } from './helpers/inside.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside({
    PRESETS: 'card: center-layout 1, padding-layout 20x10, tile: width 160|480, format webp',
  })
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, send, listen, configure } = createSpeaker(() => cloud)

describe('the page', () => {
  it('is served with a policy under which it can reach the local cloud, and nothing else', async () => {
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/page.js', 'text/javascript'],
      ['/page.css', 'text/css'],
    ]) {
      const { status, headers, text } = await ask('GET', path ?? '')
      expect([status, headers.get('content-type')]).toEqual([200, `${type}; charset=utf-8`])
      expect(text.length).toBeGreaterThan(300)
      const there = `${cloud.cosUrl} ${cloud.imageUrl}`
      expect(headers.get('content-security-policy')?.split('; ')).toEqual([
        "default-src 'self'",
        `connect-src 'self' ${there}`,
        `img-src 'self' blob: data: ${there}`,
        "style-src 'self'",
        "script-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ])
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cache-control')).toBe('no-cache')
    }
  })

  it('with a mistake in it, it is there as soon as that is mended', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'page-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'page.js'), '')
    const page = createPage({ folder: pathToFileURL(`${folder}/`), cosUrl: cloud.cosUrl, imageUrl: cloud.imageUrl })
    for (let i = 0; i < 2; i++) await expect(page('/page.css')).rejects.toThrow('ENOENT')
    await writeFile(join(folder, 'page.css'), 'p {}')
    expect(String((await page('/page.css'))?.body)).toBe('p {}')
  })

  it('is led to from localhost, which a browser takes for another site than the other ports', async () => {
    const port = Number(new URL(cloud.controlUrl).port)
    const { status, headers } = await sendRaw(port, 'GET', '/', { headers: { Host: `localhost:${port}` } })
    expect([status, headers.location]).toEqual([302, `${cloud.controlUrl}/`])
  })

  it.each(['cosUrl', 'imageUrl'] as const)(
    'is named by one line at / of %s, to who asks for HTML and to nobody else',
    async (name) => {
      const get = (accept: string, path = '/', headers = {}) =>
        fetch(cloud[name] + path, { headers: { accept, ...headers } })
      const html = 'text/html,application/xhtml+xml,*/*;q=0.8'
      const led = await get(html)
      const text = await led.text()
      expect([led.status, led.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
      expect(text).toContain(`<a href="${cloud.controlUrl}/">`)
      expect(text.trim().split('\n')).toHaveLength(1)
      const plain = await get('*/*')
      const before = await plain.text()
      expect(before).not.toContain('<a href')
      expect([plain.status, plain.headers.get('content-type')]).toEqual(
        name === 'cosUrl' ? [403, 'application/xml'] : [200, 'application/json'],
      )
      for (const other of [
        get('application/json, text/htmlx'),
        get(html, '/?max-keys=1'),
        get(html, '/x'),
        get(html, '/', { authorization: 'q-x' }),
      ])
        expect(await (await other).text()).not.toContain('<a href')
    },
  )
})

describe('strangers', () => {
  const routes = [
    'GET /',
    'GET /page.js',
    'GET /api/live',
    'GET /api/place',
    'GET /api/photos',
    'GET /api/meter',
    'POST /api/uploads',
    'DELETE /api/photos?key=uploads/mug.jpg',
  ]
  it.each(routes)('a foreign page, or a name that was made to lead here, gets nothing of %s', async (route) => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const [method = '', path = ''] = route.split(' ')
    const port = Number(new URL(cloud.controlUrl).port)
    const host = { Host: `127.0.0.1:${port}` }
    for (const headers of [
      { ...host, Origin: 'http://evil.example' },
      { ...host, Origin: 'null' },
      { ...host, Origin: 'http://127.0.0.1:1' },
      { ...host, Origin: cloud.cosUrl },
      { ...host, 'Sec-Fetch-Site': 'cross-site', Referer: 'http://evil.example/' },
      { Host: `evil.example:${port}` },
    ]) {
      const { status, text } = await sendRaw(port, method, path, { headers })
      expect([status, text]).toEqual([403, expect.stringContaining('answers only this machine')])
    }
    expect(await cloud.keys('uploads/')).toEqual(['uploads/mug.jpg'])
  })

  it('cannot fill the memory with a body that never ends', async () => {
    const longest = 1024 * 1024
    const put = (length: number) => ask('PUT', '/api/faults', 'x'.repeat(length - 2))
    expect((await put(longest)).json).toEqual({ error: 'faults: expected an array' })
    const { status, json } = await put(longest + 1)
    expect([status, json]).toEqual([413, { error: 'The body is too long.' }])
  })

  it('learn no secret and no signature from any answer, but from the presigned URLs that are asked for', async () => {
    const live = await listen()
    const { put } = await send(await photo(), { name: 'mug.jpg', way: 'plain' })
    expect(put.status).toBe(200)
    await cloud.scf.idle()
    await cloud.image('/plain/uploads/mug.jpg?exp=1&kid=shop&sig=a-signature')
    await fetch(
      `${cloud.cosUrl}/?${authorization({ method: 'GET', path: '/', id: 'local-id', secret: 'local-secret' })}`,
    )
    await expect.poll(() => live.of('request').some(({ operation }) => operation === 'GetBucket')).toBe(true)
    const key = { key: 'uploads/mug.jpg' }
    const texts = [live.text()]
    for (const path of ['/api/place', '/api/meter', `/api/story${query(key)}`, '/api/requests', '/api/faults/presets'])
      texts.push((await ask('GET', path)).text)
    for (const text of texts)
      expect(text).not.toMatch(/local-secret|whsec_|q-signature|q-sign-time|a-signature|security-token|authorization/i)
    const { text } = await ask('GET', `/api/photo${query(key)}`)
    expect(text).toContain('q-signature')
    expect(text).not.toMatch(/local-secret|whsec_|local-id/)
  })
})

describe('GET /api/place', () => {
  it('tells where everything is, and what may be asked for', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8'))
    expect((await ask('GET', '/api/place')).json).toEqual({
      cosUrl: cloud.cosUrl,
      imageUrl: cloud.imageUrl,
      bucket: 'photos-1250000000',
      region: 'ap-guangzhou',
      folders: ['uploads/'],
      presets: [
        { name: 'plain', layout: 'plain', words: '' },
        { name: 'card', layout: 'c1-p20x10', words: 'center-layout=1,padding-layout=20x10' },
        { name: 'tile', layout: 'plain', words: 'width=160,format=webp' },
      ],
      access: 'open',
      engine: 'own',
      removes: true,
      events: true,
      version,
    })
  })

  it('names the bucket and the folders of the function that is deployed now', async () => {
    configure({ COS_BUCKET: 'shop-1250000000', SOURCE_PREFIXES: 'new/, old/', EVENTS_URL: '', ON_DELETE: 'keep' })
    const { json } = await ask('GET', '/api/place')
    const folders = ['new/', 'old/']
    expect(json).toMatchObject({ bucket: 'shop-1250000000', folders, events: false, removes: false })
  })
})

describe('GET /api/faults/presets', () => {
  it('names faults that can be set, and under each a cutout is paid for once', async () => {
    const { json } = await ask<FaultPreset[]>('GET', '/api/faults/presets')
    expect(json.map(({ name }) => name)).toEqual([
      'lost-answer',
      'slow-down',
      'slow-matting',
      'duplicate-events',
      'killed-instance',
    ])
    for (const { faults } of json) expect((await ask('PUT', '/api/faults', faults)).json).toHaveLength(faults.length)
  })
})
