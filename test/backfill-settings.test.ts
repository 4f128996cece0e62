import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { onPorts, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { command, json } from './helpers/running.ts'
import { photoOf, trivial } from './helpers/trivial.ts'

const SECRET = `whsec_${Buffer.alloc(24, 'local-secret').toString('base64')}`

describe('backfill with a daily limit and a receiver of events', () => {
  let cloud: TestCloud
  let port = 0
  let answer = 204
  /** Type and key of what was told. */
  let told: string[] = []
  const receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const { type, data } = JSON.parse(body)
    if (answer < 300) told.push(`${type} ${data.source.key}`)
    response.writeHead(answer).end()
  })
  const failures = join(tmpdir(), `backfill-failures-${process.pid}.jsonl`)
  const run = (...args: string[]) => json(port, 'backfill', 'run', '--qps', '100', '--failures', failures, ...args)
  beforeAll(async () => {
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    const { port: receiving } = receiver.address() as AddressInfo
    const environment = {
      CLAIM_TIME: '6',
      DAILY_LIMIT: '10',
      EVENTS_URL: `http://127.0.0.1:${receiving}/`,
      EVENTS_SECRET: SECRET,
    }
    cloud = await onPorts((free) => {
      port = free
      return startTestCloud({ port: free, matte: trivial, instances: 2, environment })
    })
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    for (let i = 0; i < 14; i++)
      await cloud.bucket.put(`uploads/${i + 10}.jpg`, await photoOf(`${i}`), { type: 'image/jpeg' })
    cloud.faults.set([])
  })
  afterAll(async () => {
    receiver.close()
    await cloud.close()
  })

  it('a plan without a price says how to give one', async () => {
    const { out } = await command(port, 'backfill', 'plan')
    expect(out).toContain("price            not known   say yours: --price '0.01 CNY', or MATTING_PRICE\n")
  })

  it('says that the limit makes it take days, tells of what it made, and stays silent with --no-announce', async () => {
    expect(await json(port, 'backfill', 'plan')).toMatchObject({ calls: 14, today: { limit: 10, left: 10, days: 2 } })
    expect(await run('--limit', '2')).toMatchObject({ paid: 2, stopped: 'limit' })
    expect(told.sort()).toEqual(['cutout.created uploads/10.jpg', 'cutout.created uploads/11.jpg'])
    expect(await run('--limit', '2', '--no-announce')).toMatchObject({ paid: 2 })
    expect(told).toHaveLength(2)
  })

  it('what could not be announced is a failure, which is announced by --from, and not paid again', async () => {
    answer = 403
    const { failures: file, ...rest } = await run('--limit', '1')
    expect(rest).toMatchObject({ code: 1, paid: 1, failed: 1 })
    answer = 204
    told = []
    expect(await run('--from', String(file))).toMatchObject({ code: 0, paid: 0, failed: 0 })
    expect(told).toEqual(['cutout.created uploads/14.jpg'])
    expect(cloud.cos.bill()).toHaveLength(5)
  })

  it('promise 1: stops at DAILY_LIMIT, says when it goes on, and announces nobody’s delay', async () => {
    told = []
    const { why, ...rest } = await run()
    expect(rest).toMatchObject({ code: 0, paid: 5, failed: 0, stopped: 'daily-limit' })
    expect(why).toMatch(/^DAILY_LIMIT is used up; it goes on from \d{4}-\d\d-\d\d 00:00 UTC\.$/)
    expect(cloud.cos.bill()).toHaveLength(10)
    expect(told.filter((one) => !one.startsWith('cutout.created'))).toEqual([])
    expect(await run('--via', 'function')).toMatchObject({ code: 0, paid: 0, stopped: 'daily-limit' })
    expect(cloud.scf.invocations()).toEqual([])
  })

  it('on a machine whose clock is a day behind, COS’s clock counts', async () => {
    cloud.clock.advance(86_400_000)
    // It is another day there, on which DAILY_LIMIT leaves ten calls.
    expect(await json(port, 'backfill', 'plan')).toMatchObject({ calls: 4, today: { left: 10, days: 1 } })
    expect(await run()).toMatchObject({ code: 0, paid: 4, failed: 0, stopped: null })
  })
})
