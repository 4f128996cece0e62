import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { readCode } from '../cli/function.ts'
import { main } from '../cli/main.ts'
import { readKeys } from '../cli/operator.ts'
import { policy } from '../cli/policy.ts'
import { readConfig } from '../lib/config.ts'
import { onPorts, photo } from './helpers/cloud.ts'
import { startEmpty } from './helpers/deploy.ts'

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
    const other = await onPorts((port) => startEmpty({ port }))
    onTestFinished(() => other.cloud.close())
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
    const port = '4510'
    const codes = []
    for (const args of [
      ['nothing'],
      ['--help'],
      ['doctor', '--dry-run'],
      ['doctor', '--set', 'ACCESS=open'],
      ['doctor', '--local', '--set', 'EVENTS_SECRT=whsec_a-secret'],
      ['doctor', '--local', '--set', 'ACCESS=opne', '--set', 'ON_DELETE=kep'],
      ['doctor', '--local', '--set', 'COS_BUCKET=a-1'],
      ['doctor', '--port', port],
      ['doctor', '--local', '--port', '99999'],
      ['doctor', '--nope'],
      ['undeploy', '--local', '--port', port],
    ])
      codes.push(await main(args, {}))
    expect(codes).toEqual([2, 0, 2, 2, 2, 1, 2, 2, 2, 2, 2])
    expect(said).toEqual([
      "error: unknown command 'nothing' (--help tells more)",
      expect.stringContaining('Usage: cos-goods-matting [options] [command]'),
      expect.stringContaining('Exit codes: 0 all went well;'),
      "error: unknown option '--dry-run' (--help tells more)",
      '--set is for --local.',
      '--set: expected NAME=VALUE of a variable, not EVENTS_SECRT',
      'ACCESS: expected signed, presets, open',
      'ON_DELETE: expected keep or remove',
      "--set: COS_BUCKET is the local cloud's",
      '--port is for --local.',
      "error: option '--port <n>' argument '99999' is invalid. Expected a number, 1 to 65531. (--help tells more)",
      "error: unknown option '--nope' (--help tells more)",
      'Nothing was done. Without a terminal, undeploy needs --yes.',
    ])
  })

  it('attack: a line break that is ours is no control character of a key: requests and the image URL have lines of their own', async () => {
    const printed: string[] = []
    const spy = vi.spyOn(console, 'log').mockImplementation((line) => void printed.push(String(line)))
    onTestFinished(() => spy.mockRestore())
    const { account, cloud } = await onPorts((port) => startEmpty({ port }))
    onTestFinished(() => cloud.close())
    const args = ['deploy', '--local', '--port', String(account.local?.cos), '--no-build', '--no-smoke']
    expect(await main([...args, '--dry-run'], {})).toBe(0)
    const at = printed.indexOf('  attach it')
    expect(printed[at + 1]).toBe(
      '    cam AttachRolePolicy {"PolicyId":"<PolicyId>","AttachRoleName":"goods_matting_dev"}',
    )
    expect(await main(args, {})).toBe(0)
    expect(printed.slice(-2)).toEqual(['', expect.stringMatching(/^Image URLs: http:/)])
  })

  it('of a name that every object has is none', async () => {
    for (const method of ['log', 'error'] as const) {
      const spy = vi.spyOn(console, method).mockImplementation(() => {})
      onTestFinished(() => spy.mockRestore())
    }
    expect(await main(['constructor', '--local'], {})).toBe(2)
  })

  it('without a build says how to make one', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'dist-'))
    onTestFinished(() => rm(dir, { recursive: true }))
    for (const dist of ['', 'nowhere/'])
      await expect(readCode(pathToFileURL(`${dir}/${dist}`))).rejects.toThrow('run `npm run build`')
  })

  it('has its keys from the environment, or from the vendor’s profile file', async () => {
    const home = await mkdtemp(join(tmpdir(), 'home-'))
    onTestFinished(() => rm(home, { recursive: true }))
    onTestFinished(() => void vi.unstubAllEnvs())
    vi.stubEnv('HOME', home)
    await mkdir(join(home, '.tencentcloud'))
    const profile = '[default]\nsecret_id = local-profile\nsecret_key = local-secret\n'
    await writeFile(join(home, '.tencentcloud', 'credentials'), profile)
    expect(await readKeys({})).toEqual({ secretId: 'local-profile', secretKey: 'local-secret' })
    const env = { TENCENTCLOUD_SECRET_ID: 'local-env', TENCENTCLOUD_SECRET_KEY: 'local-secret' }
    expect(await readKeys({ ...env, TENCENTCLOUD_SESSION_TOKEN: 't' })).toEqual({
      secretId: 'local-env',
      secretKey: 'local-secret',
      token: 't',
    })
    await writeFile(join(home, '.tencentcloud', 'credentials'), '[other]\n')
    await expect(readKeys({})).rejects.toThrow('There are no keys: set TENCENTCLOUD_SECRET_ID and')
  })

  it('uses no action that the deployer’s policy does not have, and docs/deploy.md has the same policies', async () => {
    const read = (file: string) => readFile(new URL(`../${file}`, import.meta.url), 'utf8')
    const files = (await readdir(new URL('../cli', import.meta.url))).filter((name) => name.endsWith('.ts'))
    const source = (await Promise.all(files.map((name) => read(`cli/${name}`)))).join('')
    const verbs = 'Get|List|Describe|Create|Update|Attach|Detach|Delete|Put|Invoke'
    const actions = new Set(
      Array.from(source.matchAll(new RegExp(`'((?:${verbs})(?!Failed)[A-Za-z]*)'`, 'g')), ([, name]) => name),
    )
    const config = readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' })
    const deployer = policy('deployer', config)
    const allowed = deployer.statement.flatMap(({ action }) => action)
    expect(actions.size).toBeGreaterThan(30)
    expect([...actions].filter((name) => !allowed.some((one) => one.endsWith(`:${name}`)))).toEqual([])
    const [, text = ''] = /## The deployer's policy.*?```json\n(.*?)```/s.exec(await read('docs/deploy.md')) ?? []
    expect(JSON.parse(text)).toEqual(deployer)
  })
})
