import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { held, lapse, onPorts, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { command, json, start } from './helpers/running.ts'
import { photoOf, trivial } from './helpers/trivial.ts'

const FAST = ['--qps', '1000']
const NASTY = ['a b', '+', '100%', '图', '😀', 'a//b', 'a/../b', '#?&', "'", 'a.jpg/b', 'a', 'l'.repeat(832)]

describe('backfill', () => {
  let cloud: TestCloud
  let port = 0
  let dir = ''
  let failures: string[] = []
  beforeAll(async () => {
    const environment = {
      CLAIM_TIME: '6',
      SOURCE_PREFIXES: 'uploads/,more/',
      PRESETS: 'card: center-layout 1, padding-layout 20x10',
      ON_UPLOAD: 'uploads/: plain, uploads/two/: plain, card',
    }
    cloud = await onPorts((free) => {
      port = free
      return startTestCloud({ port: free, matte: trivial, instances: 2, environment })
    })
    dir = await mkdtemp(join(tmpdir(), 'backfill-'))
  })
  beforeEach(async () => {
    await cloud.reset()
    failures = ['--failures', join(dir, `${Math.random()}.jsonl`)]
  })
  afterAll(async () => {
    await cloud.close()
    await rm(dir, { recursive: true, force: true })
  })

  /** Puts photos whose events are lost. */
  async function put(keys: string[], headers: Record<string, string> = {}, body?: Buffer): Promise<void> {
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    const all = { 'content-type': 'image/jpeg', ...headers }
    const seconds = Math.floor(cloud.clock.now() / 1000)
    for (const key of keys) {
      // fetch would resolve the dots in a key.
      if (Object.keys(headers).length === 0) {
        await cloud.bucket.put(key, body ?? (await photoOf(key)), { type: 'image/jpeg' })
        continue
      }
      const url = cloud.bucket.presign(key, seconds - 60, seconds + 60, { method: 'PUT', headers: all })
      const bytes = new Uint8Array(await photoOf(key))
      expect((await fetch(url, { method: 'PUT', headers: all, body: bytes })).status, key).toBe(200)
    }
    cloud.faults.set([])
  }
  const numbered = (count: number, folder = 'uploads/') =>
    Array.from({ length: count }, (_, i) => `${folder}${String(i).padStart(3, '0')}.jpg`)
  const paid = () => cloud.cos.bill().map(({ fileid }) => fileid)
  const isOnce = () => expect(new Set(paid()).size).toBe(paid().length)
  const run = (...args: string[]) => json(port, 'backfill', 'run', ...FAST, ...failures, ...args)
  const plan = (...args: string[]) => json(port, 'backfill', 'plan', ...args)

  it('promise 1: a plan says exactly what a run then pays, and a second run pays nothing', async () => {
    await put(NASTY.map((name) => `uploads/${name}.jpg`))
    await put(numbered(3, 'uploads/two/'))
    await put(['more/a.jpg', 'uploads/no-suffix'])
    await put(['more/named.jpg'], { 'x-cos-meta-matting': 'card' })
    await put(['uploads/off.jpg'], { 'x-cos-meta-matting': 'off' })
    await put(['uploads/notes.txt'], { 'content-type': 'text/plain' })
    await put(['uploads/empty.jpg'], {}, Buffer.alloc(0))
    await cloud.bucket.put('elsewhere/a.jpg', await photoOf('elsewhere'), { type: 'image/jpeg' })
    const planned = await plan('--price', '0.01 CNY')
    const calls = NASTY.length + 3 * 2 + 2
    expect(planned).toMatchObject({ code: 0, objects: NASTY.length + 9, calls, cut: 0, price: { currency: 'CNY' } })
    expect(planned.reasons).toEqual({
      empty: 1,
      'no layouts for its folder': 1,
      'not an image by its type and name': 1,
      'off by its metadata': 1,
    })
    expect(paid()).toEqual([])
    expect(await run()).toEqual({
      code: 0,
      paid: calls,
      cut: NASTY.length + 5,
      skipped: 4,
      failed: 0,
      stopped: null,
      failures: null,
    })
    expect(paid()).toHaveLength(calls)
    isOnce()
    expect(await plan()).toMatchObject({ calls: 0, cut: NASTY.length + 5 })
    expect(await run()).toMatchObject({ paid: 0, skipped: NASTY.length + 9 })
    expect(paid()).toHaveLength(calls)
  })

  it('--limit: pays for as many and not for one more, also in the middle of a photo’s layouts', async () => {
    await put(numbered(4, 'uploads/two/'))
    expect(await plan('--limit', '5')).toMatchObject({ calls: 5 })
    expect(await run('--limit', '5')).toMatchObject({ code: 0, paid: 5, failed: 0, stopped: 'limit' })
    expect(paid()).toHaveLength(5)
    expect(await run('--limit', '5')).toMatchObject({ code: 0, paid: 3, failed: 0, stopped: null })
    expect(paid()).toHaveLength(8)
    isOnce()
  })

  it('promise 1: under lost answers, refusals and resets every photo is cut out, and paid for once', async () => {
    await put(numbered(20))
    cloud.faults.set(
      (['lose-answer', 'error', 'slow-down', 'reset'] as const).flatMap((kind) => [
        { on: 'GoodsMatting', kind, rate: 0.1, times: 3 },
        { on: '*', kind, rate: 0.02 },
      ]),
    )
    // So that claims of calls without an answer end soon.
    const timer = setInterval(() => cloud.clock.advance(1_000), 150)
    const first = await run()
    clearInterval(timer)
    cloud.faults.set([])
    lapse(cloud)
    const second = await run()
    // One that failed after it was bought is there by now, so neither run has cut it out.
    expect(Number(first.cut) + Number(first.failed) + Number(first.skipped)).toBe(20)
    expect(Number(second.cut) + Number(second.skipped)).toBe(20)
    expect(second).toMatchObject({ code: 0, failed: 0 })
    expect(await cloud.keys('cutouts/')).toHaveLength(20)
    isOnce()
  })

  it('stops when the account is refused several times in a row, instead of failing for every photo', async () => {
    await put(numbered(40))
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied' }])
    const { stopped, why, code, failed } = await run('--qps', '1')
    expect({ stopped, code }).toEqual({ stopped: 'denied', code: 1 })
    expect(why).toContain('AccessDenied')
    expect(Number(failed)).toBeLessThan(10)
  })

  it('writes what failed into a file, which --from takes; without failures there is none', async () => {
    const keys = ['uploads/a b\u2028"{.jpg', 'uploads/{"key":1}.jpg']
    await put(keys)
    await put(['uploads/fine.jpg'])
    cloud.faults.set(keys.map((prefix) => ({ on: 'HeadObject', kind: 'error' as const, prefix })))
    const { failures: file, ...first } = await run()
    expect(first).toMatchObject({ code: 1, failed: 2, cut: 1 })
    const lines = (await readFile(String(file), 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).key).sort()).toEqual([...keys].sort())
    cloud.faults.set([])
    expect(await run('--from', String(file))).toMatchObject({ code: 0, cut: 2, failed: 0, failures: null })
    isOnce()
  })

  it('promise 1: killed three times, it goes on, and every cutout is paid for once', async () => {
    await put(numbered(12))
    for (let i = 0; i < 3; i++) {
      cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
      const child = start(port, 'backfill', 'run', '--qps', '1', ...failures)
      await held(cloud, 1 + i)
      child.kill('SIGKILL')
      await once(child, 'exit')
      // Some of what was asked for is made, and nobody is there to hear of it.
      cloud.faults.release()
      lapse(cloud)
    }
    cloud.faults.set([])
    expect(await run()).toMatchObject({ code: 0, failed: 0 })
    expect(await cloud.keys('cutouts/')).toHaveLength(12)
    expect(paid()).toHaveLength(12)
    isOnce()
  })

  it('promise 1: two runs and uploads at the same time pay for each cutout once', async () => {
    await put(numbered(20))
    const other = start(port, 'backfill', 'run', ...FAST, ...failures, '--json')
    const uploads = numbered(20).slice(5, 10)
    const [, , [code]] = await Promise.all([
      run(),
      Promise.all(uploads.map(async (key) => cloud.bucket.put(key, await photoOf(key), { type: 'image/jpeg' }))),
      once(other, 'exit'),
    ])
    await cloud.scf.idle()
    expect(code).toBe(0)
    expect(await cloud.keys('cutouts/')).toHaveLength(20)
    expect(paid()).toHaveLength(20)
    isOnce()
  })

  it('Ctrl-C: begins no further photo, finishes those under way, and ends with 130', async () => {
    await put(numbered(20))
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const child = start(port, 'backfill', 'run', '--qps', '1', ...failures, '--json')
    let [out, err] = ['', '']
    child.stdout?.on('data', (chunk) => (out += chunk))
    child.stderr?.on('data', (chunk) => (err += chunk))
    await held(cloud, 2)
    child.kill('SIGINT')
    await expect.poll(() => err).toContain('Ctrl-C again')
    cloud.faults.set([])
    expect(await once(child, 'exit')).toEqual([130, null])
    const { stopped, cut, failed } = JSON.parse(out)
    expect({ stopped, failed }).toEqual({ stopped: 'interrupted', failed: 0 })
    expect(paid()).toHaveLength(cut)
    expect(cut).toBeLessThan(20)
    isOnce()
  })

  it('--sample: makes some of each folder and a page that shows them, with nothing from elsewhere in it', async () => {
    await put([...numbered(5, 'uploads/a/'), ...numbered(1, 'uploads/<b>&/'), 'uploads/blank.jpg'])
    const here = process.cwd()
    process.chdir(dir)
    try {
      const { sample, calls } = await plan('--sample', '4')
      expect(calls).toBe(7)
      expect(sample).toMatchObject({ paid: 4, failed: 1 })
    } finally {
      process.chdir(here)
    }
    const page = await readFile(join(dir, 'backfill-sample/index.html'), 'utf8')
    const files = Array.from(page.matchAll(/src="([^"]*)"/g), ([, file]) => file)
    expect(files.sort()).toEqual((await readdir(join(dir, 'backfill-sample'))).filter((name) => name !== 'index.html'))
    expect(files.filter((file) => file?.endsWith('-plain.png'))).toHaveLength(3)
    expect(page.match(/<img(?=[^>]* alt="[^"]+")/g)).toHaveLength(files.length)
    expect(page).toContain('uploads/&#60;b&#62;&#38;/000.jpg')
    expect(page).toContain('no-product')
    expect(page).not.toMatch(/https?:|sign|<script/)
    expect(paid()).toHaveLength(4)
  })

  it('refuses a folder that is in no source folder, two sources at once, and numbers that are none', async () => {
    for (const args of [
      ['plan', '--folder', 'cutouts'],
      ['run', '--from', 'a', '--inventory', 'b'],
      ['run', '--from', '/nowhere'],
      ['plan', '--price', 'cheap'],
      ['plan', '--limit', '1.5'],
      ['plan', '--qps', '0'],
      ['plan', '--since', 'tomorrow'],
      ['run', '--via', 'function', '--no-announce'],
      ['run', '--via', 'pigeon'],
    ]) {
      const { code, err } = await command(port, 'backfill', ...args)
      expect(err.split('\n'), args.join(' ')).toHaveLength(1)
      expect(code, args.join(' ')).toBe(2)
    }
  })

  it('prints a plan for people', async () => {
    await put([...numbered(2, 'uploads/two/'), 'uploads/notes.txt.jpg'])
    await put(['uploads/notes.txt'], { 'content-type': 'text/plain' })
    const { out } = await command(port, 'backfill', 'plan', '--price', '0.015', '--qps', '0.01')
    expect(out.split('\n')).toEqual([
      'objects                  4',
      'already cut              0',
      'refused                  1   1 not an image by its type and name',
      'to cut                   3',
      'calls to pay             5',
      'price                0.075   at 0.015',
      'time             5 minutes   at 0.01 paid requests a second',
      '',
      'folder         objects       cut   refused    to cut     calls',
      'uploads/             2         0         1         1         1',
      'uploads/two/         2         0         0         2         4',
    ])
  })

  describe('--via function', () => {
    const via = (...args: string[]) => run('--via', 'function', ...args)

    it('hands over what is missing as events, and ends when all are cut out or marked', async () => {
      await put([...NASTY.slice(0, 11).map((name) => `uploads/${name}.jpg`), ...numbered(5, 'uploads/two/')])
      await put(['uploads/notes.txt'], { 'content-type': 'text/plain' })
      cloud.faults.set([
        { on: 'Invoke', kind: 'error', code: 'RequestLimitExceeded.UinLimitExceeded', times: 2 },
        { on: 'Invoke', kind: 'lose-answer', times: 2 },
        { on: 'GoodsMatting', kind: 'lose-answer', times: 2 },
      ])
      expect(await via('--in-flight', '4')).toMatchObject({ code: 0, cut: 16, paid: 21, skipped: 1, failed: 0 })
      expect(paid()).toHaveLength(21)
      isOnce()
      expect(await via()).toMatchObject({ code: 0, cut: 0, paid: 0, skipped: 17 })
    })

    it('tells of dead letters, which are delivered again later, and nothing is paid twice', async () => {
      await put(numbered(6))
      cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'AccessDenied', prefix: 'uploads/003' }])
      const { failures: file, ...rest } = await via()
      expect(rest).toMatchObject({ code: 1, cut: 5, failed: 1 })
      expect(JSON.parse(await readFile(String(file), 'utf8'))).toMatchObject({
        key: 'uploads/003.jpg',
        code: 'dead-letter',
      })
      cloud.faults.set([])
      lapse(cloud)
      await fetch(`${cloud.controlUrl}/api/dead-letters/replay`, { method: 'POST' })
      await cloud.scf.idle()
      expect(await via('--from', String(file))).toMatchObject({ code: 0, cut: 0, skipped: 1 })
      expect(paid()).toHaveLength(6)
      isOnce()
    })

    it('never hands over a photo that --limit does not leave enough for', async () => {
      await put(numbered(3, 'uploads/two/'))
      expect(await via('--limit', '5')).toMatchObject({ code: 0, cut: 2, paid: 4, stopped: 'limit' })
      expect(paid()).toHaveLength(4)
    })

    // The management API judges the time as well, so no test may follow.
    it('gives up what has no end after the platform’s retries', async () => {
      await put(numbered(1))
      cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
      const running = via()
      await held(cloud)
      cloud.clock.advance(3_600_000)
      const { failures: file, ...rest } = await running
      expect(rest).toMatchObject({ code: 1, failed: 1 })
      expect(JSON.parse(await readFile(String(file), 'utf8'))).toMatchObject({ code: 'unfinished' })
    })
  })
})
