import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readEvent } from '../functions/upload/event.ts'

// What COS really sends (product/583/9707, and the vendor's own samples), and what it might.

/** A record as in the vendor's samples, oddities and all. */
function record(key: unknown, { eventName = 'cos:ObjectCreated:Put', object = {}, bucket = {}, event = {} } = {}) {
  return {
    cos: {
      cosSchemaVersion: '1.0',
      cosObject: {
        url: 'http://photos-1250000000.cos.ap-guangzhou.myqcloud.com/a.jpg',
        meta: { 'x-cos-request-id': 'NWMx', 'Content-Type': '', 'x-cos-meta-mykey': 'myvalue' },
        vid: '',
        key,
        size: 1029,
        ...object,
      },
      cosBucket: { region: 'gz', name: 'photos', appid: '1250000000', ...bucket },
      cosNotificationId: 'unkown',
    },
    event: {
      eventName,
      eventVersion: '1.0',
      eventTime: 1545205770,
      eventSource: 'qcs::cos',
      requestParameters: { requestHeaders: { Authorization: 'q-sign-algorithm=sha1' } },
      ...event,
    },
  }
}

const at = '/1250000000/photos/'

describe('the keys that an event may mean', () => {
  it.each<[string, string, string[]]>([
    ['plain', 'uploads/a.jpg', ['uploads/a.jpg']],
    ['encoded', 'uploads/a%20b.jpg', ['uploads/a b.jpg', 'uploads/a%20b.jpg']],
    ['encoded whole, slashes too', 'uploads%2Fa.jpg', ['uploads/a.jpg', 'uploads%2Fa.jpg']],
    ['raw', 'uploads/a b.jpg', ['uploads/a b.jpg']],
    ['a plus is a plus', 'uploads/a+b.jpg', ['uploads/a+b.jpg']],
    ['an encoded plus', 'uploads/a%2Bb.jpg', ['uploads/a+b.jpg', 'uploads/a%2Bb.jpg']],
    ['Chinese, encoded', 'uploads/%E7%BA%A2.jpg', ['uploads/红.jpg', 'uploads/%E7%BA%A2.jpg']],
    ['Chinese, raw', 'uploads/红.jpg', ['uploads/红.jpg']],
    ['a raw percent sign', 'uploads/100%.jpg', ['uploads/100%.jpg']],
    ['an encoded percent sign', 'uploads/100%25.jpg', ['uploads/100%.jpg', 'uploads/100%25.jpg']],
    ['half a character', 'uploads/%E7%BA.jpg', ['uploads/%E7%BA.jpg']],
    ['slashes', 'uploads//a//b.jpg', ['uploads//a//b.jpg']],
    ['a slash in front', '/uploads/a.jpg', ['/uploads/a.jpg']],
    ['the prefix again', 'uploads/1250000000/photos/a.jpg', ['uploads/1250000000/photos/a.jpg']],
    ['nothing', '', ['']],
  ])('%s: %s', (_, key, keys) => {
    expect(readEvent({ Records: [record(at + key)] })).toMatchObject([{ keys, bucket: 'photos-1250000000' }])
  })

  it('are among them whatever the key, encoded or raw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.boolean(), (key, encoded) => {
        const [arrival] = readEvent({ Records: [record(at + (encoded ? encodeURIComponent(key) : key))] })
        expect(arrival?.keys).toContain(key)
      }),
    )
  })
})

describe('records', () => {
  const created = { kind: 'created' }
  const removed = { kind: 'removed' }
  it.each<[string, unknown, object[] | [undefined]]>([
    ['Put', record(`${at}a`), [{ ...created, size: 1029 }]],
    ['Post', record(`${at}a`, { eventName: 'cos:ObjectCreated:Post' }), [created]],
    ['Copy', record(`${at}a`, { eventName: 'cos:ObjectCreated:Copy' }), [created]],
    [
      'CompleteMultipartUpload',
      record(`${at}a`, { eventName: 'cos:ObjectCreated:CompleteMultipartUpload' }),
      [created],
    ],
    ['a kind of creation that is new', record(`${at}a`, { eventName: 'cos:ObjectCreated:Append' }), [created]],
    ['Delete', record(`${at}a`, { eventName: 'cos:ObjectRemove:Delete' }), [removed]],
    ['a delete marker', record(`${at}a`, { eventName: 'cos:ObjectRemove:DeleteMarkerCreated' }), [removed]],
    ['a deletion of the older documents', record(`${at}a`, { eventName: 'cos: ObjectRemove:Delete' }), [removed]],
    ['a creation of theirs', record(`${at}a`, { eventName: 'cos: ObjectCreated:Put' }), [created]],
    ['a deletion without its prefix', record(`${at}a`, { eventName: 'ObjectRemove:DeleteMarkerCreated' }), [removed]],
    ['a creation without it', record(`${at}a`, { eventName: 'ObjectCreated:Put' }), [created]],
    ['spaces and capitals', record(`${at}a`, { eventName: ' COS : objectRemove : delete ' }), [removed]],
    ['a name that only begins so', record(`${at}a`, { eventName: 'cos:ObjectCreatedTwice:Put' }), []],
    ['a name that only ends so', record(`${at}a`, { eventName: 'xcos:ObjectCreated:Put' }), []],
    ['a version', record(`${at}a`, { object: { vid: 'MTg0NDY3NDI1' } }), [created]],
    ['an event that is not known', record(`${at}a`, { eventName: 'cos:ObjectRestore:Completed' }), []],
    ['another service’s', record(`${at}a`, { eventName: 's3:ObjectCreated:Put' }), []],
    [
      'without url, size and meta',
      {
        ...record(`${at}a`),
        cos: { cosObject: { key: `${at}a` }, cosBucket: { name: 'photos', appid: '1250000000' } },
      },
      [created],
    ],
    ['a size that is text', record(`${at}a`, { object: { size: '5' } }), [created]],
    ['an appid that is a number', record(`${at}a`, { bucket: { appid: 1250000000 } }), [created]],
    [
      'a type',
      record(`${at}a`, { object: { meta: { 'Content-Type': 'image/png' } } }),
      [{ ...created, type: 'image/png' }],
    ],
    ['no event name', record(`${at}a`, { event: { eventName: undefined } }), [undefined]],
    ['a key of another bucket’s', record('/1250000000/other/a'), [undefined]],
    ['a key without its prefix', record('uploads/a.jpg'), [undefined]],
    ['no key', record(undefined), [undefined]],
    ['a key that is no text', record(7), [undefined]],
    ['half a surrogate pair', record(`${at}\ud800`), [undefined]],
    ['no bucket', { ...record(`${at}a`), cos: { cosObject: { key: `${at}a` } } }, [undefined]],
    ['null', null, [undefined]],
    ['text', 'x', [undefined]],
  ])('%s', (_, one, expected) => {
    const neighbours = [record(`${at}before`), one, record(`${at}after`)]
    const read = readEvent({ Records: neighbours })
    expect(read).toHaveLength(expected.length + 2)
    if (expected[0]) expect(read.slice(1, -1)).toMatchObject(expected)
    else expect(read.slice(1, -1)).toEqual(expected)
    // One that cannot be read does not spoil its neighbours.
    expect([read[0]?.keys, read.at(-1)?.keys]).toEqual([['before'], ['after']])
  })

  it.each([[undefined], [null], ['x'], [{}], [{ Records: {} }], [{ records: [] }]])('%j is no event', (event) => {
    expect(() => readEvent(event)).toThrow(expect.objectContaining({ code: 'bad-event' }))
  })

  it('of any shape throw nothing but that', () => {
    fc.assert(fc.property(fc.array(fc.anything()), (Records) => void readEvent({ Records })))
  })
})
