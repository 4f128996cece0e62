import { Webhook } from 'standardwebhooks'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startReceiver } from '../local/receiver.ts'
import { send } from './helpers/cloud.ts'

const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const OTHER = `whsec_${Buffer.alloc(24, 8).toString('base64')}`
const created = {
  type: 'cutout.created',
  data: { source: { key: 'uploads/mug.jpg' }, layout: 'plain', cutout: { key: 'cutouts/mug.png' } },
}

async function start() {
  const lines: string[] = []
  const receiver = await startReceiver({ port: 0, secret: SECRET, print: (line) => void lines.push(line) })
  onTestFinished(receiver.close)
  return { ...receiver, lines }
}

/** Headers as the scheme's own library signs them; `late` in seconds. */
function sign(body: string, { id = 'abcdef0123456789', secret = SECRET, late = 0 } = {}) {
  const at = new Date(Date.now() - late * 1000)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  }
}

async function post(url: string, body: string, headers: Record<string, string>): Promise<number> {
  return (await fetch(url, { method: 'POST', body, headers })).status
}

const body = JSON.stringify(created)

describe('the local receiver', () => {
  it('a web page of another origin, or at a host name that was led here, can tell of nothing, be it rightly signed', async () => {
    const { url, events } = await start()
    expect(await post(url, body, { ...sign(body), origin: 'http://shop.example' })).toBe(403)
    expect((await send(url, '/', 'POST', { ...sign(''), host: 'shop.example' })).status).toBe(403)
    expect(events()).toEqual([])
  })

  it('takes what is rightly signed, shows it in a line, and notes what comes again', async () => {
    const { url, events, lines } = await start()
    expect(await post(url, body, sign(body))).toBe(204)
    expect(await post(url, body, sign(body))).toBe(204)
    const failed = JSON.stringify({
      type: 'cutout.failed',
      data: { source: { key: '\u001b[2J' }, code: 'busy', message: 'x' },
    })
    expect(await post(url, failed, sign(failed, { id: 'another' }))).toBe(204)
    expect(events()).toEqual([created, created, JSON.parse(failed)])
    expect(lines).toEqual([
      'event        cutout.created uploads/mug.jpg plain → cutouts/mug.png (id abcdef01…; signature good)',
      'event        cutout.created uploads/mug.jpg plain → cutouts/mug.png (id abcdef01…, again; signature good)',
      'event        cutout.failed ?[2J busy: x (id another…; signature good)',
    ])
  })

  const { 'webhook-id': _, ...unnamed } = sign(body)
  it.each<[string, Record<string, string>, string]>([
    ['signed with another secret', sign(body, { secret: OTHER }), 'wrong signature'],
    ['signed for another body', sign(`${body} `), 'wrong signature'],
    ['signed for another id', { ...sign(body), 'webhook-id': 'other' }, 'wrong signature'],
    ['a signature of another length', { ...sign(body), 'webhook-signature': 'v1,' }, 'wrong signature'],
    ['six minutes old', sign(body, { late: 360 }), 'its timestamp is not within five minutes of now'],
    ['six minutes ahead', sign(body, { late: -360 }), 'its timestamp is not within five minutes of now'],
    [
      'a time that is none',
      { ...sign(body), 'webhook-timestamp': 'now' },
      'its timestamp is not within five minutes of now',
    ],
    ['without an id', unnamed, 'not signed'],
    ['without anything', {}, 'not signed'],
  ])('answers 401: %s', async (_, headers, why) => {
    const { url, events, lines } = await start()
    expect(await post(url, body, headers)).toBe(401)
    expect(lines).toEqual([`event        refused: ${why}`])
    expect(events()).toEqual([])
  })

  it('takes four minutes of difference, and one right signature of several', async () => {
    const { url } = await start()
    expect(await post(url, body, sign(body, { late: 240 }))).toBe(204)
    expect(await post(url, body, sign(body, { late: -240 }))).toBe(204)
    const both = { ...sign(body, { secret: OTHER }) }
    both['webhook-signature'] += ` v1a,xyz ${sign(body)['webhook-signature']}`
    expect(await post(url, body, both)).toBe(204)
  })

  it('answers 400 to what is no JSON or too long, 405 to a GET, and lives on', async () => {
    const { url, events } = await start()
    expect(await post(url, '{', sign('{'))).toBe(400)
    expect(await post(url, 'x'.repeat(1024 * 1024 + 1), {}).catch(() => 400)).toBe(400)
    expect((await fetch(url)).status).toBe(405)
    expect(await post(url, body, sign(body))).toBe(204)
    expect(events()).toHaveLength(1)
  })

  it('keeps the last thousand', async () => {
    const { url, events } = await start()
    for (let i = 0; i < 1_010; i++) {
      const text = JSON.stringify(i)
      await post(url, text, sign(text, { id: text }))
    }
    expect([events().length, events()[0], events().at(-1)]).toEqual([1_000, 10, 1_009])
  })
})
