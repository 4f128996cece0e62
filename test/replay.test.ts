import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { replay } from '../lib/replay.ts'
import { photo, putQuietly, startForTest } from './helpers/cloud.ts'

function record(key: string, kind = 'ObjectCreated:Put', size = 1) {
  return {
    cos: { cosBucket: { name: 'photos', appid: '1250000000' }, cosObject: { key, size } },
    event: { eventName: `cos:${kind}` },
  }
}

describe('replay', () => {
  it('reads events, letters and JSON text; each object once, the later record of it, one an event', () => {
    const a = record('/1250000000/photos/uploads/a.jpg')
    const later = record('/1250000000/photos/uploads/a.jpg', 'ObjectCreated:Post', 2)
    const gone = record('/1250000000/photos/uploads/a.jpg', 'ObjectRemove:Delete')
    const b = record('/1250000000/photos/uploads/b.jpg')
    const letters = [
      { Records: [a, b] },
      { id: '1', event: { Records: [later] } },
      JSON.stringify({ Records: [gone] }),
      JSON.stringify({ event: { Records: [7] } }),
    ]
    const { events, unreadable } = replay(letters)
    expect(events.map(({ Records }) => Records)).toEqual([[later], [b], [gone], [7]])
    expect(unreadable).toEqual([])
  })

  it.each([
    ['lists in lists', '[', ']'],
    ['envelopes in envelopes', '{"event":', '}'],
    ['an envelope within a batch, again and again', '{"msgInfoList":[', ']}'],
    ['a record of lists', '{"Records":[', ']}'],
  ])('attack: %s, a hundred thousand deep: that letter is unreadable, and the others are read', (_, begin, end) => {
    const deep: unknown = JSON.parse(`${begin.repeat(100_000)}1${end.repeat(100_000)}`)
    const good = { Records: [record('/1250000000/photos/uploads/a.jpg')] }
    for (const letters of [[deep, good], [[deep, good]], [JSON.stringify({ msgInfoList: [good] }), deep]]) {
      const { events, unreadable } = replay(letters)
      expect(events).toEqual([good])
      expect(unreadable).toHaveLength(1)
    }
  })

  // Field by field as the vendor's page shows it (product/583/39704).
  const letterOf = (ClientContext: unknown) => ({
    RequestId: 'b615b896-d197-47d7-8919-xxx',
    ErrorCode: -1,
    ErrorMessage: 'Traceback (most recent call last):\n File "/var/user/index.py"',
    Body: {
      AppId: 1250000000,
      Uin: '100000000001',
      SubAccountUin: '100000000001',
      RequestSource: 'TRIGGER_COS',
      FunctionName: 'matting-upload-dev',
      Namespace: 'default',
      Qualifier: '$DEFAULT',
      InvocationType: 'Event',
      ClientContext,
      LogType: '',
      TimeStampForInvoker: '1602293100000',
      RequestId: 'b615b896-d197-47d7-8919-xxx',
      PushTime: '2020-10-10T09:22:00.061824591+08:00',
      RetryNum: 2,
      Ttl: 0,
    },
  })
  const messageOf = (letter: unknown) => ({ msgId: '1', receiptHandle: '2', msgBody: JSON.stringify(letter) })
  const event = { Records: [record('/1250000000/photos/uploads/a.jpg')] }
  const letter = letterOf(JSON.stringify(event))

  it.each<[string, unknown]>([
    ['an object', letter],
    ['text', JSON.stringify(letter)],
    ['with the event as an object', letterOf(event)],
    ['with a body that is text', { ...letter, Body: JSON.stringify(letter.Body) }],
    ['text in text', JSON.stringify(JSON.stringify({ ...letter, Body: JSON.stringify(letter.Body) }))],
    ['a message of CMQ’s', messageOf(letter)],
    ['a batch of them', { code: 0, msgInfoList: [messageOf(letter), messageOf(letterOf(event))] }],
    ['a batch as text', JSON.stringify({ code: 0, msgInfoList: [messageOf(letter)] })],
    ['a list', [letter, JSON.stringify(letter)]],
    [
      'of the local cloud, as it was',
      { at: '2026-11-22T09:30:00.000Z', id: '1', function: 'upload', event, error: 'x' },
    ],
  ])('reads dead letters as the vendor delivers them: %s', (_, given) => {
    expect(replay([given])).toEqual({ events: [event], unreadable: [] })
  })

  it('takes a deletion for one however it is spelt, and an arrival for another', () => {
    const spellings = ['cos:ObjectRemove:Delete', 'cos: ObjectRemove:Delete', 'ObjectRemove:DeleteMarkerCreated']
    const kinds = [...spellings, 'cos: ObjectCreated:Put', 'ObjectCreated:Post']
    const records = kinds.map((eventName) => ({ ...event.Records[0], event: { eventName } }))
    const { events } = replay([{ Records: records }])
    expect(events.map(({ Records }) => Object(Records[0]).event.eventName)).toEqual([
      spellings[2],
      'ObjectCreated:Post',
    ])
  })

  it('tells apart the letters of a batch that it cannot read', () => {
    const bad = messageOf(letterOf('{"Records":'))
    const batch = { msgInfoList: [messageOf(letter), bad] }
    expect(replay([batch, JSON.stringify(batch)])).toEqual({ events: [event], unreadable: [bad, bad] })
  })

  it('keeps what it cannot read, and never throws', () => {
    const letters = [
      1,
      'x',
      '"x"',
      null,
      {},
      { Records: 1 },
      { event: 'x' },
      letterOf('x'),
      letterOf(null),
      { Body: 1 },
    ]
    expect(replay(letters)).toEqual({ events: [], unreadable: letters })
    fc.assert(fc.property(fc.array(fc.anything()), (any) => void replay(any)))
  })

  it('reads what an older local cloud left on disk', async () => {
    const data = await mkdtemp(join(tmpdir(), 'replay-'))
    onTestFinished(() => rm(data, { recursive: true, force: true }))
    await mkdir(join(data, 'events', 'dead'), { recursive: true })
    const old = { at: '2026-11-22T09:30:00.000Z', id: 'one', function: 'upload', event, error: 'Error: no' }
    await writeFile(join(data, 'events', 'dead', '2026-11-22T093000.000Z-one.json'), JSON.stringify(old))
    const cloud = await startForTest({ data })
    const { at, id, error } = old
    expect(cloud.scf.deadLetters()).toMatchObject([{ at, id, RequestId: id, ErrorMessage: error, Body: {} }])
    await putQuietly(cloud, 'uploads/a.jpg', await photo())
    await fetch(`${cloud.controlUrl}/api/dead-letters/replay`, { method: 'POST' })
    await cloud.scf.idle()
    expect([cloud.cos.bill().length, cloud.scf.deadLetters()]).toEqual([1, []])
  })

  it('of the local cloud’s dead letters makes the cutouts, once each, when the trouble is over', async () => {
    const cloud = await startForTest()
    const api = async (method: string, path: string) => (await fetch(`${cloud.controlUrl}${path}`, { method })).json()
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    for (const key of ['uploads/a.jpg', 'uploads/b.jpg', 'uploads/a.jpg'])
      await cloud.bucket.put(key, await photo(key === 'uploads/a.jpg' ? '#b03020' : '#2040b0'), { type: 'image/jpeg' })
    await cloud.scf.push('upload', { no: 'event' })
    await cloud.scf.idle()
    expect(cloud.scf.deadLetters()).toHaveLength(4)
    const shown: unknown[] = Object(await api('GET', '/api/dead-letters'))
    expect(replay(shown).events).toHaveLength(2)
    cloud.faults.set([])
    expect(await api('POST', '/api/dead-letters/replay')).toEqual({ letters: 3, events: 2, left: 1 })
    await cloud.scf.idle()
    expect(await cloud.keys('cutouts/')).toHaveLength(2)
    expect(cloud.cos.bill()).toHaveLength(2)
    expect(await api('GET', '/api/dead-letters')).toHaveLength(1)
    expect(await api('POST', '/api/dead-letters/replay')).toEqual({ letters: 0, events: 0, left: 1 })
  })
})
