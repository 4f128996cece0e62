import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { replay } from '../lib/replay.ts'
import { photo, startForTest } from './helpers/cloud.ts'

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

  it('keeps what it cannot read, and never throws', () => {
    const letters = [1, 'x', '"x"', null, {}, { Records: 1 }, { event: 'x' }]
    expect(replay(letters)).toEqual({ events: [], unreadable: letters })
    fc.assert(fc.property(fc.array(fc.anything()), (any) => void replay(any)))
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
    cloud.faults.set([])
    expect(await api('POST', '/api/dead-letters/replay')).toEqual({ letters: 3, events: 2, left: 1 })
    await cloud.scf.idle()
    expect(await cloud.keys('cutouts/')).toHaveLength(2)
    expect(cloud.cos.bill()).toHaveLength(2)
    expect(await api('GET', '/api/dead-letters')).toHaveLength(1)
    expect(await api('POST', '/api/dead-letters/replay')).toEqual({ letters: 0, events: 0, left: 1 })
  })
})
