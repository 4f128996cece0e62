import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BUCKET } from '../local/cloud.ts'
import { held, onPorts, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { command, json } from './helpers/running.ts'
import { photoOf, trivial } from './helpers/trivial.ts'

describe('an operator is not fooled', () => {
  let cloud: TestCloud
  let port = 0
  let dir = ''
  beforeAll(async () => {
    cloud = await onPorts((free) => {
      port = free
      return startTestCloud({ port: free, matte: trivial, instances: 2, environment: { DAILY_LIMIT: '2' } })
    })
  })
  beforeEach(async () => {
    await cloud.reset()
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    dir = await mkdtemp(join(tmpdir(), 'operate-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))
  afterAll(() => cloud.close())

  const put = async (...keys: string[]) => {
    for (const key of keys) await cloud.bucket.put(key, await photoOf(key), { type: 'image/jpeg' })
  }

  it('by what was handed over and is not paid yet: it counts against DAILY_LIMIT as well', async () => {
    await put('uploads/1.jpg', 'uploads/2.jpg', 'uploads/3.jpg', 'uploads/4.jpg')
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const failures = join(dir, 'failures')
    const running = json(port, 'backfill', 'run', '--via', 'function', '--qps', '1000', '--failures', failures)
    await held(cloud, 2)
    cloud.faults.set([])
    expect(await running).toMatchObject({ code: 0, cut: 2, failed: 0, paid: 2, stopped: 'daily-limit' })
  })

  it('by an object whose name looks like a date to JavaScript: gc takes no receipt for old that has no day', async () => {
    await put('uploads/1.jpg')
    const keys = ['receipts/notes 2001', 'receipts/2001/x.json', 'tally/README 12.txt'].map(
      (name) => `.matting/${name}`,
    )
    for (const key of keys) await cloud.bucket.put(key, 'mine', { type: 'text/plain' })
    await cloud.bucket.put('.matting/receipts/2001-01-01/000000000-a-1.json', '{}', { type: 'application/json' })
    expect((await command(port, 'gc', 'run', '--yes')).out).toContain('Deleted 1 object')
    expect(await cloud.keys('.matting/')).toEqual(keys.sort())
  })

  it('by a list of an inventory that unpacks to one endless row: it is refused while it is read', async () => {
    const bomb = gzipSync(`uploads/1.jpg\n"${'a'.repeat(2_000_000)}"\n`)
    const md5Checksum = createHash('md5').update(bomb).digest('hex')
    const manifest = {
      sourceBucket: BUCKET,
      fileFormat: 'CSV',
      fileSchema: 'Key',
      files: [{ key: 'bomb.gz', md5Checksum }],
    }
    await writeFile(join(dir, 'bomb.gz'), bomb)
    await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
    const { code, err } = await command(port, 'backfill', 'plan', '--inventory', join(dir, 'manifest.json'))
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('bomb.gz cannot be read: Max Record Size') })
  })

  it('by another port of the local cloud, or of something else: the command says that it is not its COS port', async () => {
    for (const wrong of [port + 2, port - 1]) {
      const { code, out, err } = await command(wrong, 'backfill', 'plan')
      expect([code, out]).toEqual([1, ''])
      expect(err).toContain(`is ${wrong} its COS port?`)
    }
  })

  it('by a URL that is none: check says so in one line', async () => {
    const { code, err } = await command(port, 'check', 'http://[')
    expect({ code, err }).toEqual({ code: 2, err: 'http://[ is no URL.' })
  })

  it('by a dead letter whose key is not percent-encoded: a run through the function goes on', async () => {
    const cosObject = { key: `/1250000000/photos/uploads/100%.jpg`, size: 9, meta: {}, vid: '' }
    const cosBucket = { region: 'ap-guangzhou', name: 'photos', appid: '1250000000' }
    await put('uploads/100%.jpg')
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied' }])
    const event = {
      eventName: 'cos:ObjectCreated:Put',
      eventTime: Math.floor(cloud.clock.now() / 1000),
      eventSource: 'qcs::cos',
    }
    const [upload] = cloud.scf.serverless().functions.filter(({ handler }) => handler.startsWith('upload.'))
    await cloud.scf.push(upload?.name ?? '', { Records: [{ cos: { cosObject, cosBucket }, event }] })
    await cloud.scf.idle()
    expect(cloud.scf.deadLetters()).toHaveLength(1)
    cloud.faults.set([])
    const failures = ['--failures', join(dir, 'failures')]
    const { code, err } = await command(port, 'backfill', 'run', '--limit', '1', '--via', 'function', ...failures)
    expect({ code, err }).toMatchObject({ code: expect.any(Number), err: expect.not.stringContaining('URIError') })
    expect(err).not.toContain('malformed')
  })

  it('by control characters in a key that is refused, or by a code that conceals what follows', async () => {
    const strange = 'uploads/\u001b]0;title\u0007\u001b[8m\u202e.jpg'
    const refused = await command(port, 'purge', strange.replace('uploads', 'elsewhere'))
    const explained = await command(port, 'explain', strange)
    const shown = `${refused.err}${explained.out}`
    expect(shown).toContain('elsewhere/?]0;title??[8m?.jpg')
    expect(shown).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u)
  })

  it('by a file of failures that cannot be written: nothing is paid, instead of the run ending at the first failure', async () => {
    await put('uploads/1.jpg')
    for (const more of [[], ['--via', 'function']]) {
      const file = join(dir, 'nowhere', 'failures.jsonl')
      const { code, err } = await command(port, 'backfill', 'run', '--failures', file, ...more)
      expect({ code, err }).toEqual({ code: 2, err: `--failures: ${file} cannot be written. Nothing was done.` })
    }
    expect(cloud.cos.bill()).toEqual([])
  })

  it.skipIf(!existsSync('/dev/full'))(
    'by a full disk: a failure that cannot be noted ends no photo that is under way',
    async () => {
      await put('uploads/1.jpg')
      cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied' }])
      for (const more of [[], ['--via', 'function']]) {
        const result = await command(port, 'backfill', 'run', '--failures', '/dev/full', '--qps', '1000', ...more)
        expect(result).toMatchObject({ code: 1, out: expect.stringContaining('/dev/full cannot be written: ENOSPC') })
      }
    },
  )

  it('by a photo within the folder of a photo that is not there, or by a bucket that is not there: explain', async () => {
    const version = createHash('md5').update('b').digest('hex')
    await cloud.bucket.put(`cutouts/uploads/a.jpg/b.jpg/${version}-plain.png`, 'x', { type: 'image/png' })
    const { out } = await command(port, 'explain', 'uploads/a.jpg')
    expect(out).toMatch(/There is no such photo in [\w-]+\.$/)
    cloud.faults.set([{ on: 'GetObject', kind: 'error', code: 'NoSuchBucket' }])
    expect(await command(port, 'explain', 'uploads/a.jpg')).toMatchObject({ code: 1, out: '' })
  })

  it('by what a check says of a photo that nothing would be paid for today', async () => {
    await put('uploads/1.jpg')
    const day = new Date(cloud.clock.now()).toISOString().slice(0, 10)
    await cloud.bucket.put(`.matting/receipts/${day}/000000000-a-2.json`, '{}', { type: 'application/json' })
    const { out } = await command(port, 'check', 'uploads/1.jpg')
    expect(out).toContain('no  uploads/1.jpg: nothing to pay')
    expect(out).toContain('limit-reached')
  })
})
