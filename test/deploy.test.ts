import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type ApiCall, ask, list, text } from '../cli/api.ts'
import { deploy, undeploy } from '../cli/deploy.ts'
import { doctor } from '../cli/doctor.ts'
import { zip } from '../cli/zip.ts'
import { MattingError } from '../lib/errors.ts'
import { BUCKET } from '../local/cloud.ts'
import { photo } from './helpers/cloud.ts'
import { clear, type Deployment, recording, startEmpty } from './helpers/deploy.ts'

const fixture = (name: string) => readFile(new URL(`fixtures/${name}`, import.meta.url), 'utf8')

let d: Deployment
beforeAll(async () => {
  d = await startEmpty()
})
afterAll(() => d.cloud.close())
beforeEach(() => clear(d))

describe('deploy', () => {
  it('into an empty account: a cutout by trigger and one by URL; what it tries leaves no trace but its receipt, and nobody is told', async () => {
    const told: unknown[] = []
    const receiver = createServer(async (request, response) => {
      told.push(await json(request))
      response.writeHead(204).end()
    })
    await once(receiver.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void receiver.close().closeAllConnections())
    const events = {
      EVENTS_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`,
      EVENTS_SECRET: `whsec_${Buffer.alloc(25, 'local-secret').toString('base64')}`,
    }
    const printed = await d.deploy(await d.stage(events), { smoke: true })
    const lines = printed.map((line) => line.split(/\s+/).slice(0, 2).join(' '))
    const steps = ['check', 'role', 'bucket', 'logs', 'functions', 'triggers', 'url', 'smoke']
    expect(lines.slice(0, 8)).toEqual(steps.map((step) => `✓ ${step}`))
    expect(printed).toContain('✓ smoke test 1 by upload, one by URL; paid calls: 1')
    expect(d.cloud.cos.bill()).toHaveLength(1)
    const left = await d.cloud.keys('')
    expect(left.filter((key) => !/^\.matting\/(receipts|tally)\//.test(key))).toEqual([])
    await d.cloud.scf.idle()
    expect(told).toEqual([])
    await d.cloud.upload('uploads/mug.jpg', await photo())
    expect(told).toHaveLength(1)
    expect(await d.cloud.keys('cutouts/')).toHaveLength(1)
    const { status, headers } = await d.cloud.image('/card/uploads/mug.jpg')
    expect([status, headers['x-matting']]).toEqual([302, 'made'])
  })

  it('whose pictures do not show says so, and leaves nothing behind', async () => {
    const cdn = createServer((_, response) => void response.writeHead(204).end())
    await once(cdn.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void cdn.close().closeAllConnections())
    const DELIVERY_URL = `http://127.0.0.1:${(cdn.address() as AddressInfo).port}`
    const deployed = d.deploy(await d.stage({ DELIVERY_URL }), { smoke: true })
    await expect(deployed).rejects.toThrow(`✗ smoke test ${DELIVERY_URL} answered 204 undefined for the cutout.`)
    expect(await d.cloud.keys('uploads/')).toEqual([])
  })

  it('does not tell a secret in an error', async () => {
    const stage = await d.stage({ URL_KEYS: 'shop:local-secret-of-shop' })
    const make = () => Promise.reject(new MattingError('denied', 'local-secret-of-shop is refused'))
    await expect(d.deploy(stage, { make })).rejects.toThrow(/^✗ role +\*\*\* is refused$/)
  })

  it('again changes nothing, and says so', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    const calls: string[] = []
    const printed = await d.deploy(stage, { make: recording(d.account, calls) })
    expect(calls).toEqual([])
    expect(printed.slice(1, 7).every((line) => line.endsWith('nothing to do'))).toBe(true)
  })

  it('says what is to be done where the platform’s own role is missing', async () => {
    const other = await startEmpty()
    onTestFinished(() => other.cloud.close())
    await other.api({ service: 'cam', action: 'DeleteRole', params: { RoleName: 'SCF_QcsRole' } })
    await expect(other.deploy(await other.stage())).rejects.toThrow(/✗ role .*SCF_QcsRole: open the SCF console once/)
  })

  it('told to switch strict signatures on does so, once, and still works', async () => {
    const stage = await d.stage()
    expect((await d.deploy(stage, { strict: true }))[2]).toContain('switch strict signatures on')
    const printed = await d.deploy(stage, { strict: true, smoke: true })
    expect([printed[2], printed[7]]).toEqual(['✓ bucket     nothing to do', expect.stringContaining('paid calls: 1')])
    await ask(d.account, {
      ...{ bucket: BUCKET, door: 'cos', method: 'DELETE', key: '' },
      query: { 'strict-signature': '' },
    })
  })

  it('of other code replaces it, and that of the first code rolls back', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    const handler = "exports.main_handler = async () => ({ statusCode: 200, headers: {}, body: 'two' })"
    const files = ['image.js', 'upload.js'].map((name) => ({ name, bytes: Buffer.from(handler) }))
    const printed: string[] = []
    const options = { smoke: false, print: (line: string) => printed.push(line) }
    await deploy(d.account, stage, { zip: zip(files), hash: 'two' }, options)
    expect(printed[4]).toMatch(/^✓ functions +update the code of matting-upload-dev; update the configuration of/)
    expect(await d.cloud.image('/plain/none.jpg')).toMatchObject({ status: 200, body: 'two' })
    await d.deploy(stage)
    expect((await d.cloud.image('/plain/none.jpg')).status).toBe(404)
  })

  it('reserves concurrency where the file says so, and gives it back', async () => {
    const stage = await d.stage()
    const reserving = { ...stage, functions: stage.functions.map((spec) => ({ ...spec, reserved: 512 })) }
    const reserved = async () => {
      const params = { FunctionName: 'matting-upload-dev' }
      return (await d.api({ service: 'scf', action: 'GetReservedConcurrencyConfig', params })).ReservedMem || 0
    }
    await d.deploy(reserving)
    expect([await reserved(), (await d.deploy(reserving))[4]]).toEqual([512, '✓ functions  nothing to do'])
    await d.deploy(stage)
    expect([await reserved(), (await d.deploy(stage))[4]]).toEqual([0, '✓ functions  nothing to do'])
  })

  it('asked for the differences tells them, and changes nothing', async () => {
    await d.deploy(await d.stage())
    const state = await d.state()
    expect(await d.deploy(await d.stage({ ACCESS: 'presets' }), { only: 'differences' })).toEqual([
      '~ functions  update the configuration of matting-upload-dev',
      '~ functions  update the configuration of matting-image-dev',
    ])
    expect(await d.state()).toEqual(state)
  })

  it('keeps the rules that others have set for the bucket', async () => {
    const other =
      '<Rule><ID>theirs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>'
    const body = `<LifecycleConfiguration>${other}</LifecycleConfiguration>`
    const request = { bucket: BUCKET, door: 'cos', method: 'PUT', key: '', query: { lifecycle: '' } } as const
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
    await ask(d.account, { ...request, body, headers })
    await d.deploy(await d.stage())
    const there = (await ask(d.account, { ...request, method: 'GET' })).body.toString()
    expect(there).toMatch(/<ID>theirs<\/ID>.*logs\/.*<ID>cos-goods-matting-claims<\/ID>/s)
  })

  it('of a function that could not be made, or changed, says so, and mends it when it is run again', async () => {
    const stage = await d.stage()
    d.cloud.faults.set([{ kind: 'drop-result', on: 'CreateFunction' }])
    await expect(d.deploy(stage)).rejects.toThrow(/✗ functions +matting-upload-dev is CreateFailed: ./)
    d.cloud.faults.set([])
    expect((await d.deploy(stage))[4]).toContain(
      'delete matting-upload-dev, which could not be created; create matting-up',
    )
    const next = await d.stage({ ACCESS: 'presets' })
    d.cloud.faults.set([{ kind: 'drop-result', on: 'UpdateFunctionConfiguration' }])
    await expect(d.deploy(next)).rejects.toThrow(/✗ functions +matting-upload-dev is UpdateFailed: ./)
    d.cloud.faults.set([])
    expect((await d.deploy(next))[4]).toContain('update the configuration of matting-upload-dev')
    expect((await d.deploy(next))[4]).toMatch(/nothing to do$/)
  })

  it('into a bucket that has versioning, or had it, sends nothing: forbid-overwrite overwrites there', async () => {
    const other = await startEmpty()
    onTestFinished(() => other.cloud.close())
    for (const status of ['Enabled', 'Suspended']) {
      const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`
      await ask(other.account, { bucket: BUCKET, door: 'cos', method: 'PUT', key: '', query: { versioning: '' }, body })
      await expect(other.deploy(await other.stage())).rejects.toThrow(/✗ check .*versioning/)
    }
    expect(await other.state()).toMatchObject({ state: [], policies: [] })
    const printed: string[] = []
    const { account, code } = other
    await doctor(account, await other.stage(), code, { print: (line) => printed.push(line) })
    expect(printed.find((line) => line.includes('versioning'))?.[0]).toBe('✗')
  })

  it('shows what it would do, as the API’s pages have it, and no secret; a runtime that the API refuses is replaced by the newest that it knows', async () => {
    const fresh = await startEmpty({ runtimes: ['Nodejs18.15', 'Nodejs22.21'] })
    onTestFinished(() => fresh.cloud.close())
    const shown = async (at: Deployment, variables: Record<string, string>) => {
      const printed = await at.deploy(await at.stage(variables), { only: 'requests' })
      return printed
        .join('\n')
        .replace(/code [0-9a-f]{16}/g, 'code <hash>')
        .replace(/http:\/\/127\.0\.0\.1:\d+/g, 'http://127.0.0.1:4510')
        .replace(/"(Cls\w+Id|PolicyId)":("[\w-]{20,}"|\d+)/g, '"$1":"<$1>"')
    }
    expect(`${await shown(fresh, {})}\n`).toBe(await fixture('deploy-fresh.txt'))
    await d.deploy(await d.stage())
    const next = { SOURCE_PREFIXES: 'uploads/shoes/,photos/', URL_KEYS: 'shop:local-secret-of-shop' }
    const existing = await shown(d, next)
    expect(`${existing}\n`).toBe(await fixture('deploy-existing.txt'))
    expect(existing).not.toMatch(/local-secret/)
    // That account knows no Node 20, and the next one nothing that would do.
    const older = await startEmpty({ runtimes: ['Nodejs16.13'] })
    onTestFinished(() => older.cloud.close())
    await expect(older.deploy(await older.stage())).rejects.toThrow('on older ones the code does not run')
    const stage = await fresh.stage()
    expect((await fresh.deploy(stage)).join()).toContain('-dev, on Nodejs22.21, because Nodejs20.19 is refused')
    expect((await fresh.deploy(stage))[4]).toMatch(/✓ functions +nothing to do$/)
  })

  it('makes the functions and triggers that the vendor’s own component would', async () => {
    const calls: ApiCall[] = JSON.parse(await fixture('component.json'))
    const ZipFile = d.code.zip.toString('base64')
    for (const { service, action, params } of calls)
      await d.api({ service, action, params: { ...params, ...(action === 'CreateFunction' && { Code: { ZipFile } }) } })
    const look = async () => {
      const seen = []
      for (const FunctionName of ['matting-upload-dev', 'matting-image-dev']) {
        const found = await d.api({ service: 'scf', action: 'GetFunction', params: { FunctionName } })
        const { Triggers } = await d.api({ service: 'scf', action: 'ListTriggers', params: { FunctionName } })
        const { Handler, MemorySize, Timeout, Runtime, Environment, Type } = found
        const rules = list(Triggers).map(({ Type, TriggerName, TriggerDesc, Qualifier, Enable }) => [
          ...[Type, TriggerName, Qualifier, Enable],
          JSON.parse(text(TriggerDesc)).filter,
        ])
        seen.push({ Handler, MemorySize, Timeout, Runtime, Environment, Type, rules: rules.sort() })
      }
      return seen
    }
    const theirs = JSON.parse(JSON.stringify(await look()))
    await clear(d)
    const stage = await d.stage({ ON_DELETE: 'remove' })
    await d.deploy(stage)
    const url = `http://127.0.0.1:${d.account.local?.cos}`
    expect(JSON.parse(JSON.stringify(await look()).replaceAll(url, 'http://127.0.0.1:4510'))).toEqual(theirs)
  })
})

describe('undeploy', () => {
  it('takes functions, triggers and role away; photos and cutouts stay', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    await d.cloud.upload('uploads/mug.jpg', await photo())
    const printed: string[] = []
    await undeploy(d.account, stage, { print: (line) => printed.push(line) })
    expect(printed.map((line) => line.slice(0, 10).trim())).toEqual(['✓ triggers', '✓ function', '✓ role'])
    const state = await d.state()
    expect(state).toMatchObject({ state: [], policies: [] })
    expect(await d.cloud.keys('uploads/')).toEqual(['uploads/mug.jpg'])
    expect(await d.cloud.keys('cutouts/')).toHaveLength(1)
  })
})
