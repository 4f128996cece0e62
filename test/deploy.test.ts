import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type ApiCall, ask, call, list, text } from '../cli/api.ts'
import { undeploy } from '../cli/deploy.ts'
import { doctor } from '../cli/doctor.ts'
import { main } from '../cli/main.ts'
import type { Stage } from '../cli/stage.ts'
import { type Apply, apply, type Change } from '../cli/step.ts'
import { BUCKET } from '../local/cloud.ts'
import { photo } from './helpers/cloud.ts'
import { type Deployment, startEmpty } from './helpers/deploy.ts'

const fixture = (name: string) => readFile(new URL(`fixtures/${name}`, import.meta.url), 'utf8')

let d: Deployment
beforeAll(async () => {
  d = await startEmpty()
})
afterAll(() => d.cloud.close())
beforeEach(() => clear(d))

/** Takes away what a test has deployed, and all objects. */
async function clear({ account, stage, cloud, api }: Deployment): Promise<void> {
  for (const name of ['dev', 'other']) await undeploy(account, await stage({}, name), { print: () => {} })
  for (const { FunctionName } of list((await api({ service: 'scf', action: 'ListFunctions', params: {} })).Functions))
    await api({ service: 'scf', action: 'DeleteFunction', params: { FunctionName } })
  for (const key of await cloud.keys('')) await cloud.bucket.delete(key)
}

class Killed extends Error {}

/** Makes changes up to one that has not killed it yet, and is gone before it has seen what became of that one. */
function dying(killers: Set<string>): Apply {
  return async (change: Change) => {
    if (killers.has(change.say)) return apply(d.account, change)
    killers.add(change.say)
    const { call: request } = change
    await ('service' in request ? call(d.account, request) : ask(d.account, request))
    throw new Killed()
  }
}

/** Runs `deploy` until a run is not killed. Returns the changes that killed one. */
async function killedEachTime(stage: Stage): Promise<string[]> {
  const killers = new Set<string>()
  for (;;) {
    try {
      await d.deploy(stage, { make: dying(killers) })
      return [...killers]
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    }
  }
}

/** Tells the actions of a deployment. */
function recording(calls: string[], before: () => Promise<unknown> = async () => {}): Apply {
  return async (change) => {
    const { call: request } = change
    await before()
    calls.push(
      'service' in request ? request.action : `${request.method} ${request.key || Object.keys(request.query ?? {})}`,
    )
    return apply(d.account, change)
  }
}

const triggers = async (FunctionName: string) => {
  const { Triggers } = await d.api({ service: 'scf', action: 'ListTriggers', params: { FunctionName } })
  return list(Triggers)
    .filter(({ Type }) => Type === 'cos')
    .map(({ TriggerDesc }) => JSON.parse(text(TriggerDesc)).filter.Prefix)
}

describe('deploy', () => {
  it('into an empty account: a cutout by trigger and one by URL; what it tries leaves no trace but its receipt, and nobody is told', async () => {
    const printed = await d.deploy(await d.stage(), { smoke: true })
    const lines = printed.map((line) => line.split(/\s+/).slice(0, 2).join(' '))
    const steps = ['check', 'role', 'bucket', 'logs', 'functions', 'triggers', 'url', 'smoke']
    expect(lines.slice(0, 8)).toEqual(steps.map((step) => `✓ ${step}`))
    expect(printed).toContain('✓ smoke test 1 by upload, one by URL; paid calls: 1')
    expect(d.cloud.cos.bill()).toHaveLength(1)
    const left = await d.cloud.keys('')
    expect(left.filter((key) => !/^\.matting\/(receipts|tally)\//.test(key))).toEqual([])
    await d.cloud.upload('uploads/mug.jpg', await photo())
    expect(await d.cloud.keys('cutouts/')).toHaveLength(1)
    const { status, headers } = await d.cloud.image('/card/uploads/mug.jpg')
    expect([status, headers['x-matting']]).toEqual([302, 'made'])
  })

  it('again changes nothing, and says so', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    const calls: string[] = []
    const printed = await d.deploy(stage, { make: recording(calls) })
    expect(calls).toEqual([])
    expect(printed.slice(1, 7).every((line) => line.endsWith('as it is to be'))).toBe(true)
  })

  it('killed after each of its changes, and run again, ends as one that ran through', async () => {
    const stage = await d.stage({ ON_DELETE: 'remove', SOURCE_PREFIXES: 'uploads/shoes/,more/' })
    // Role 3, functions 2, triggers 4, URL 1; what is switched on for the bucket, and the logs, stay when it is undeployed.
    expect(await killedEachTime(stage)).toHaveLength(10)
    const state = await d.state()
    await clear(d)
    await d.deploy(stage)
    expect(await d.state()).toEqual(state)
    // From there, all that can change: code, environment, policy, and folders that overlap.
    const next = await d.stage({ SOURCE_PREFIXES: 'uploads/', ACCESS: 'presets' })
    await d.cloud.bucket.put('uploads/shoes/a.jpg', await photo(), { type: 'image/jpeg' })
    expect((await killedEachTime(next)).sort()).toEqual([
      'bring its policy up to date',
      'hand over uploads/shoes/a.jpg',
      'more/ cos:ObjectCreated:* no longer goes to matting-upload-dev',
      'more/ cos:ObjectRemove:* no longer goes to matting-upload-dev',
      'note the time',
      'nothing was missed',
      'update the configuration of matting-image-dev',
      'update the configuration of matting-upload-dev',
      'uploads/ cos:ObjectCreated:* goes to matting-upload-dev',
      'uploads/shoes/ cos:ObjectCreated:* no longer goes to matting-upload-dev',
      'uploads/shoes/ cos:ObjectRemove:* no longer goes to matting-upload-dev',
    ])
    const changed = await d.state()
    expect(await d.cloud.keys('.matting/deploy/')).toEqual([])
    await clear(d)
    await d.deploy(next)
    expect(await d.state()).toEqual(changed)
  })

  it('to a folder beside it makes the new trigger before it takes the old one away', async () => {
    await d.deploy(await d.stage())
    const calls: string[] = []
    await d.deploy(await d.stage({ SOURCE_PREFIXES: 'photos/' }), { make: recording(calls) })
    expect(calls.filter((action) => /Trigger/.test(action))).toEqual(['CreateTrigger', 'DeleteTrigger'])
    expect(await triggers('matting-upload-dev')).toEqual(['photos/'])
  })

  it('to a folder around it, while photos are uploaded: the API allows no two triggers there, and still none is lost or paid twice', async () => {
    await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/shoes/' }))
    const paid = d.cloud.cos.bill().length
    let photos = 0
    const put = async () => d.cloud.bucket.put(`uploads/shoes/${photos++}.jpg`, await photo(), { type: 'image/jpeg' })
    const calls: string[] = []
    await d.deploy(await d.stage(), { make: recording(calls, put) })
    expect(calls.slice(3)).toEqual([
      'PUT .matting/deploy/matting-upload-dev',
      'DeleteTrigger',
      'CreateTrigger',
      ...calls.slice(6, -1).map(() => 'Invoke'),
      'DELETE .matting/deploy/matting-upload-dev',
    ])
    await d.cloud.scf.idle()
    expect(photos).toBeGreaterThanOrEqual(7)
    const cut = new Set((await d.cloud.keys('cutouts/')).map((key) => key.split('/')[3]))
    expect(cut.size).toBe(photos)
    expect(d.cloud.cos.bill()).toHaveLength(paid + photos)
  })

  it('without a trigger in the file takes away those that go on paying', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    expect(await triggers('matting-upload-dev')).toEqual(['uploads/'])
    await d.deploy({ ...stage, rules: [] })
    expect(await triggers('matting-upload-dev')).toEqual([])
  })

  it('of a second stage into the same folder says whose it is, before the API refuses it', async () => {
    await d.deploy(await d.stage())
    const calls: string[] = []
    const second = d.deploy(await d.stage({}, 'other'), { make: recording(calls) })
    await expect(second).rejects.toThrow(
      /✗ check .*uploads\/ in photos.* already goes to matting-upload-dev.*of its own/,
    )
    expect(calls).toEqual([])
  })

  it('keeps the rules that others have set for the bucket', async () => {
    const other =
      '<Rule><ID>theirs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>'
    const body = `<LifecycleConfiguration>${other}</LifecycleConfiguration>`
    const request = { bucket: BUCKET, door: 'cos', method: 'PUT', key: '', query: { lifecycle: '' } } as const
    const headers = { 'content-md5': (await import('node:crypto')).createHash('md5').update(body).digest('base64') }
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
    expect((await d.deploy(next))[4]).toMatch(/as it is to be$/)
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
    expect((await fresh.deploy(stage))[4]).toMatch(/✓ functions +as it is to be$/)
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

describe('the command', () => {
  function start(...args: string[]) {
    const file = fileURLToPath(new URL('../cli/cos-goods-matting.mjs', import.meta.url))
    const child = spawn(process.execPath, [file, ...args], {
      env: { PATH: process.env.PATH, COS_BUCKET: 'of-the-shell-1' },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    return child
  }

  it('killed with kill -9 in the middle goes on when it is run again', async () => {
    const other = await startOnPorts()
    const args = ['deploy', '--local', '--port', String(other.account.local?.cos), '--no-build', '--no-smoke']
    const first = start(...args)
    for await (const chunk of first.stdout) if (String(chunk).includes('✓ logs')) break
    first.kill('SIGKILL')
    const second = start(...args)
    let printed = ''
    for await (const chunk of second.stdout) printed += chunk
    if (second.exitCode === null) await once(second, 'exit')
    expect([second.exitCode, printed.match(/^✓ (role|url) .*$/gm)?.length]).toEqual([0, 2])
    await other.cloud.upload('uploads/mug.jpg', await photo())
    expect(await other.cloud.keys('cutouts/')).toHaveLength(1)
  })

  it('says what is wrong with its arguments before it asks for anything', async () => {
    const said: string[] = []
    for (const method of ['log', 'error'] as const) {
      const spy = vi.spyOn(console, method).mockImplementation((text) => void said.push(String(text)))
      onTestFinished(() => spy.mockRestore())
    }
    const port = String(d.account.local?.cos)
    const codes = []
    for (const args of [
      ['nothing'],
      ['--help'],
      ['doctor', '--dry-run'],
      ['doctor', '--set', 'ACCESS=open'],
      ['doctor', '--local', '--set', 'ACESS=open'],
      ['doctor', '--local', '--set', 'ACCESS=opne'],
      ['doctor', '--nope'],
      ['undeploy', '--local', '--port', port],
    ])
      codes.push(await main(args, {}))
    expect(codes).toEqual([2, 0, 1, 1, 1, 1, 1, 1])
    expect(said.slice(2)).toEqual([
      'doctor has no --dry-run.',
      '--set is for --local.',
      '--set: expected NAME=VALUE of a variable, not ACESS=open',
      'ACCESS: expected signed, presets, open',
      expect.stringContaining('--nope'),
      'Nothing was done. Without a terminal, undeploy needs --yes.',
    ])
    expect(said[0]).toContain('cos-goods-matting <command>')
  })

  it('uses no action that the deployer’s policy in docs/deploy.md does not have', async () => {
    const read = (file: string) => readFile(new URL(`../${file}`, import.meta.url), 'utf8')
    const [, policy = ''] = /## The deployer's policy.*?```json\n(.*?)```/s.exec(await read('docs/deploy.md')) ?? []
    const files = (await readdir(new URL('../cli', import.meta.url))).filter((name) => name.endsWith('.ts'))
    const source = (await Promise.all(files.map((name) => read(`cli/${name}`)))).join('')
    const verbs = 'Get|List|Describe|Create|Update|Attach|Detach|Delete|Put|Invoke'
    const actions = new Set(
      Array.from(source.matchAll(new RegExp(`'((?:${verbs})(?!Failed)[A-Za-z]*)'`, 'g')), ([, name]) => name),
    )
    const allowed: string[] = JSON.parse(policy).statement.flatMap(({ action }: { action: string[] }) => action)
    expect(actions.size).toBeGreaterThan(30)
    expect([...actions].filter((name) => !allowed.some((one) => one.endsWith(`:${name}`)))).toEqual([])
  })

  /** The command looks for the management API four ports after COS. */
  async function startOnPorts(): Promise<Deployment> {
    for (let attempt = 0; ; attempt++) {
      try {
        const other = await startEmpty({ port: 20_000 + ((process.pid * 7 + attempt * 11) % 20_000) })
        onTestFinished(() => other.cloud.close())
        return other
      } catch (error) {
        if (Object(error).code !== 'EADDRINUSE' || attempt > 50) throw error
      }
    }
  }
})
