import { createServer, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { it, onTestFinished } from 'vitest'
import { announce } from '../lib/announce.ts'
import { createCos } from '../lib/cos.ts'
import { lookAt } from '../lib/external.ts'
import { plain } from '../lib/layout.ts'
import { paid } from '../lib/paid.ts'
import { listClaims, look } from '../lib/pay/claim.ts'
import { checkFailure } from '../lib/pay/failure.ts'
import { countPaid, readReceipts } from '../lib/pay/receipt.ts'
import { BUCKET, CREDENTIALS, REGION } from '../local/cloud.ts'
import { startReceiver } from '../local/receiver.ts'
import { startForTest } from './helpers/cloud.ts'
import { divert } from './helpers/divert.ts'
import { each, long } from './helpers/linear.ts'

// Promise 10: what COS, CI, pictures' hosts and receivers answer is read in linear time.
/** For a body of an answer. */
const MARKUP = [
  ...' "a1-/<{',
  ...'/1|-1|<a>|</a>|<a |<a b="|<!--|<![CDATA[|<!DOCTYPE |<Message>|<Error>|&amp;|["'.split('|'),
]
/** What a header may hold, as long as Node takes one. */
const headers = [' ', '\t', ',', '"', ' ,', 'a', '1', '-1', '/1', '/', ';', '&', '=', '%3b', '.'].map(
  (bit) => `a${bit.repeat(12_000 / bit.length)}b`,
)

/** A server that answers as it is told. */
async function answering() {
  const answer: { status: number; headers: OutgoingHttpHeaders; body: string } = {
    status: 200,
    headers: {},
    body: '',
  }
  const server = createServer((request, response) => {
    request.resume()
    // As the vendor's answers do, so that they are read at all.
    response.writeHead(answer.status, { 'x-cos-request-id': 'a', ...answer.headers }).end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const [now, random] = [Date.now, () => 0]
  const cos = createCos({
    endpoint: `http://127.0.0.1:${port}`,
    credentials: CREDENTIALS,
    deadline: now() + 600_000,
    now,
    random,
  })
  const time = { until: now() + 60_000, deadline: now() + 60_000 }
  const all = async (list: AsyncIterable<unknown>) => {
    for await (const _ of list);
  }
  const calls = {
    head: () => cos.head('a'),
    get: () => cos.get('a'),
    pieces: () => cos.pieces('a'),
    list: () => all(cos.list('')),
    process: () => cos[paid].process('a', [], time),
    detect: () => cos[paid].detect('http://good.example/', plain, time),
    look: () => look(cos, 'a', { id: 'a', seconds: 1 }),
    listClaims: () => all(listClaims(cos, 'a')),
    checkFailure: () => checkFailure(cos, 'cutouts/', { key: 'a', etag: '0123456789abcdef' }, []),
    countPaid: () => countPaid({ cos, store: cos }, '2026-01-01'),
    readReceipts: () => readReceipts(cos, '2026-01-01'),
  }
  onTestFinished(() => void server.close().closeAllConnections())
  return { answer, calls, port }
}

const listOf = (key: string) => `<ListBucketResult><Contents><Key>${key}</Key></Contents></ListBucketResult>`
const TIMES = { 'last-modified': new Date(0).toUTCString() }
type Call = keyof Awaited<ReturnType<typeof answering>>['calls']
it.each<[string, number, (text: string) => string, Call[]]>([
  ['what is no error', 200, (text) => text, ['get', 'process', 'detect', 'look']],
  ['an error', 403, (text) => `<Error><Code>${text}</Code></Error>`, ['get', 'process']],
  ['an error that has no end', 403, (text) => `<Error><Message>${text}`, ['get', 'process']],
  ['a list', 200, listOf, ['list']],
  ['a list of claims', 200, (text) => listOf(`.matting/claims/${text}`), ['listClaims', 'checkFailure', 'countPaid']],
  ['a result', 200, (text) => `<UploadResult><OriginalInfo><ETag>${text}</ETag>`, ['process']],
  ['JSON', 200, (text) => JSON.stringify({ id: text, cutouts: [text], before: text }), ['look', 'countPaid']],
])('answers of COS and CI: the body of %s', async (_, status, template, names) => {
  const { answer, calls } = await answering()
  Object.assign(answer, { status, headers: TIMES })
  await each(MARKUP.map(long), async (text) => {
    answer.body = template(text)
    await Promise.allSettled(names.map((name) => calls[name]()))
  })
})

it('answers of COS, of pictures’ hosts and of receivers: their headers', async () => {
  const { answer, calls, port } = await answering()
  divert({ 80: port })
  const [now, random] = [Date.now, () => 0]
  const options = { hosts: ['good.example'], maxBytes: 9, now, deadline: now() + 600_000 }
  const picture = () =>
    lookAt(new URL('http://good.example/'), {
      ...options,
      lookup: (_, __, done) => setImmediate(() => done(null, [{ address: '93.184.215.14', family: 4 }])),
    })
  const told = () =>
    announce(
      { type: 'source.skipped', source: { key: 'a' }, why: 'a' },
      {
        ...{ url: new URL(`http://127.0.0.1:${port}/`), secret: Buffer.alloc(24), bucket: BUCKET, region: REGION },
        ...{ types: ['source.skipped'], now, clock: now, random, deadline: now() + 600_000 },
      },
    )
  const names = [
    'etag',
    'content-type',
    'content-range',
    'x-cos-meta-matting',
    'location',
    'retry-after',
    'date',
    'last-modified',
  ]
  for (const name of names) {
    Object.assign(answer, { status: name === 'location' ? 302 : name === 'retry-after' ? 400 : 200, body: '' })
    await each(headers, async (text) => {
      answer.headers = { [name]: name === 'location' ? `http://${text}` : text }
      const asked = name === 'retry-after' ? [told] : [...Object.values(calls), picture]
      await Promise.allSettled(asked.map((call) => call()))
    })
  }
})

it('local: a request to COS, and an event to the receiver', async () => {
  const cloud = await startForTest()
  const receiver = await startReceiver({
    port: 0,
    secret: `whsec_${Buffer.alloc(24).toString('base64')}`,
    print: () => {},
  })
  onTestFinished(() => receiver.close())
  await each(headers, (text) => {
    const at = String(Math.floor(Date.now() / 1000))
    const signature = { 'webhook-id': 'a', 'webhook-timestamp': at, 'webhook-signature': text }
    return Promise.allSettled([
      fetch(cloud.cosUrl, { headers: { authorization: text, range: text, 'if-none-match': text } }),
      fetch(cloud.cosUrl, {
        headers: { authorization: `q-sign-algorithm=sha1&q-ak=local-id&q-header-list=${text}` },
      }),
      fetch(receiver.url, { method: 'POST', body: '{}', headers: signature }),
    ])
  })
})
