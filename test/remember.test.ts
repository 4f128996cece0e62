import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import type { Memory } from '../lib/elsewhere.ts'
import { IMAGE, internet, see } from './helpers/internet.ts'

function remembering(): { memory: Memory; stored: Map<string, string> } {
  const stored = new Map<string, string>()
  const memory: Memory = {
    get: async (key) => ({ body: stored.get(key) ?? '', written: 0, read: 0 }),
    put: async (key, body) => Boolean(stored.set(key, String(body))),
  }
  return { memory, stored }
}

it('remembers the bytes behind a validator, wherever a redirect with a new signature leads', async () => {
  const { memory, stored } = remembering()
  let times = 0
  await internet((request, response) => {
    if (request.url === '/a') {
      times++
      return void response.writeHead(302, { location: `${times < 3 ? '/b' : '/c'}?signature=${times}` }).end()
    }
    response.writeHead(200, IMAGE)
    // Whoever wants to read it again waits for ever.
    if (times === 1) response.end('abcd')
    else response.write('ab')
  })
  const first = await see('http://good.example/a', { memory })
  expect(first).toMatchObject({ etag: createHash('sha256').update('abcd').digest('hex'), size: 4 })
  expect(await see('http://good.example/a', { memory })).toEqual({
    ...first,
    url: 'http://good.example/b?signature=2',
  })
  expect([...stored.values()]).toEqual([JSON.stringify({ sha256: first?.etag, size: 4 })])
  // By another URL, on another host, or where the redirect leads now, the same validator may mean other bytes.
  const others = [
    'http://good.example/a',
    'http://good.example/b',
    'http://img.good.example/b',
    'http://good.example/b?signature=3',
  ]
  for (const url of others) {
    await expect(see(url, { memory, timeout: 100 })).rejects.toMatchObject({ code: 'unavailable' })
  }
})

it('takes nothing for the picture that broke off while it was asked what is remembered', async () => {
  let broken: () => void = () => {}
  const gone = new Promise<void>((resolve) => {
    broken = resolve
  })
  await internet((_, response) => {
    response.on('close', broken).writeHead(200, { etag: '"1"' })
    response.write('ab', () => response.destroy())
  })
  const stored: string[] = []
  const memory: Memory = {
    get: () => gone.then(() => undefined),
    put: async (key) => Boolean(stored.push(key)),
  }
  await expect(see('http://good.example/', { memory })).rejects.toMatchObject({ code: 'unavailable' })
  expect(stored).toEqual([])
})

it('takes a picture with another ETag, or another date, for another picture until it has read it', async () => {
  const { memory, stored } = remembering()
  const monday = 'Mon, 01 Jan 2024 00:00:00 GMT'
  const tuesday = 'Tue, 02 Jan 2024 00:00:00 GMT'
  const versions = [{ etag: '"1"' }, { etag: '"2"' }, { 'last-modified': monday }, { 'last-modified': tuesday }]
  for (const [i, headers] of versions.entries()) {
    const body = `abc${i}`
    await internet((_, response) => void response.writeHead(200, { ...headers, 'content-length': '4' }).end(body))
    const sha256 = createHash('sha256').update(body).digest('hex')
    expect(await see('http://good.example/a', { memory })).toMatchObject({ etag: sha256 })
  }
  expect(stored.size).toBe(versions.length)
})
