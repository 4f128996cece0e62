import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Webhook } from 'standardwebhooks'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { compile } from '../compile.mjs'
import { readOptions } from '../local/options.ts'
import { photo, send } from './helpers/cloud.ts'
import { hasRuntime, network } from './helpers/onnx.ts'

interface Started {
  output: () => string
  /** Resolves when the output matches. */
  until: (pattern: RegExp) => Promise<RegExpMatchArray>
  exit: Promise<number | null>
  interrupt: () => void
}

/** What `npm start` runs after it has compiled, as a process of its own. */
function start(...args: string[]): Started {
  const child = spawn(process.execPath, ['build/start.mjs', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  const changed = new EventTarget()
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      changed.dispatchEvent(new Event('change'))
    })
  }
  return {
    output: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(text)
          if (match) resolve(match)
        }
        changed.addEventListener('change', look)
        exit.then(() => reject(new Error(`ended: ${text}`)))
        look()
      }),
    exit,
    interrupt: () => void child.kill('SIGINT'),
  }
}

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'start-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

describe('npm start', () => {
  beforeAll(compile)

  it('puts a sample, tells what happened to it and to what comes, and stays until Ctrl-C; one beside it is refused; a second start pays nothing, is --quiet, and prints a signed URL where one is needed', async () => {
    const data = await folder()
    const first = start('--port', '0', '--data', data)
    await first.until(/Ctrl-C/)
    expect(first.output()).toMatch(/cutout +cutouts\/uploads\/mug\.jpg\/[0-9a-f]{32}-plain\.png, \d+ kB/)
    expect(first.output()).toMatch(/calls paid +1\n/)
    const [url = ''] = await first.until(/http:\S+\/plain\/uploads\/mug\.jpg/)
    const answer = await fetch(url)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png'])
    const [bill = ''] = await first.until(/http:\S+\/api\/bill/)
    expect(await (await fetch(bill)).json()).toMatchObject({ calls: 1, items: [{ source: 'uploads/mug.jpg' }] })
    await first.until(/^image {8}GET \/plain\/uploads\/mug\.jpg → 302 hit in \d+ ms\n/m)
    const [put = ''] = await first.until(/http:\S+\/uploads\/$/m)
    await fetch(`${put}own.jpg`, { method: 'PUT', body: new Uint8Array(await photo()) })
    await first.until(/^photo {8}uploads\/own\.jpg → plain in \d+ ms, 1 paid\n/m)
    // What became of the sample is told once.
    expect(first.output()).not.toMatch(/^photo +uploads\/mug/m)
    const beside = start('--port', '0', '--data', data)
    expect(await beside.exit).toBe(1)
    expect(beside.output()).toBe(
      `The folder ${join(data, 'cos')} is in use by another local cloud; choose another with --data DIR.\n`,
    )
    first.interrupt()
    expect(await first.exit).toBe(0)
    const key = 'URL_KEYS=encoded(shop:0123456789abcd%3D%3D)'
    const signed = ['--set', 'ACCESS=signed', '--set', key, '--variables', 'split']
    const second = start('--port', '0', '--data', data, '--quiet', ...signed)
    await second.until(/Ctrl-C/)
    expect(second.output()).toMatch(/calls paid +0: the cutout of this photo was already there/)
    const [, signedUrl = ''] = await second.until(/image URL {4}(\S+)/)
    expect((await fetch(signedUrl, { redirect: 'manual' })).status).toBe(302)
    expect((await fetch(signedUrl.replace(/\?.*/, ''), { redirect: 'manual' })).status).toBe(403)
    second.interrupt()
    expect(await second.exit).toBe(0)
    expect(second.output()).not.toMatch(/^(?:photo|image) {8}/m)
  })

  it('--events receives events, at an address of its own; --origin lets a page ask; --no-sample puts nothing', async () => {
    const more = ['--no-sample', '--events', '--origin', 'http://localhost:80/']
    const started = start('--port', '0', '--data', await folder(), ...more)
    const [, url = '', secret = ''] = await started.until(/events +(http:\S+) .* (whsec_\S+)\n/)
    await started.until(/Ctrl-C/)
    const body = JSON.stringify({ type: 'source.skipped', data: { source: { key: 'a' }, why: 'no image' } })
    const now = new Date()
    const headers = {
      'webhook-id': 'one',
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign('one', now, body),
    }
    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(204)
    await started.until(/event +source\.skipped a no image \(id one…; signature good\)\n/)
    expect(started.output()).not.toContain('mug')
    const [, cos = ''] = await started.until(/COS +(http:\S+)\n/)
    const ask = async (origin: string) =>
      (await send(cos, '/', 'GET', { origin })).headers['access-control-allow-origin']
    expect([await ask('http://localhost'), await ask('http://localhost:8080')]).toEqual(['http://localhost', undefined])
    started.interrupt()
    expect(await started.exit).toBe(0)
  })

  it('--empty listens at all five ports at once, with no function there yet', async () => {
    const started = start('--port', '0', '--data', await folder(), '--empty')
    await started.until(/Ctrl-C/)
    const port = (name: string) => new RegExp(`^${name} +(http:[^/]*//[^/ ,]+)`, 'm').exec(started.output())?.[1] ?? ''
    const ask = async (name: string, path = '/') => (await send(port(name), path, 'GET')).status
    expect(await ask('COS')).toBe(403)
    expect(await ask('images', '/plain/a.jpg')).toBe(404)
    expect(await ask('control API', '/api/bill')).toBe(200)
    expect(await ask('events')).toBeGreaterThanOrEqual(400)
    const answer = await send(port('management'), '/', 'POST')
    expect([answer.status, answer.body]).toEqual([200, expect.stringContaining('AuthFailure.InvalidAuthorization')])
    expect(new Set(['COS', 'images', 'control API', 'events', 'management'].map(port)).size).toBe(5)
    expect(started.output()).not.toContain('mug')
    started.interrupt()
    expect(await started.exit).toBe(0)
  })

  it('does not start with functions that are misconfigured', async () => {
    const wrong = start('--port', '0', '--data', await folder(), '--set', 'ACCESS=signed')
    expect(await wrong.exit).toBe(1)
    expect(wrong.output()).toContain('The functions are misconfigured:\nURL_KEYS: needed for ACCESS=signed')
  })

  it.skipIf(!hasRuntime)('--model lets a network cut, and says which; what is wrong with it in one line', async () => {
    const data = await folder()
    const model = ['--model', join(data, 'of-mine.onnx'), '--model-mean', '0.5', '--model-std', '0.5']
    await writeFile(join(data, 'of-mine.onnx'), network())
    const wrong = start('--port', '0', '--data', data, ...model)
    expect(await wrong.exit).toBe(1)
    expect(wrong.output()).toBe(
      `Trying ${join(data, 'of-mine.onnx')} on a picture.\n` +
        'of-mine.onnx does not say what it expects: --model-preset isnet|u2net|birefnet, or --model-output\n',
    )
    const started = start('--port', '0', '--data', data, ...model, '--model-output', 'probability')
    await started.until(/^engine {7}of-mine\.onnx at 64x64, by onnxruntime-(?:web|node) [\d.]+: [\d.]+ s a picture$/m)
    await started.until(/^calls paid +1$/m)
    started.interrupt()
    expect(await started.exit).toBe(0)
  })

  it('says in one line that a port is taken, and exits with 1', async () => {
    const server = createServer()
    onTestFinished(() => void server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = Object(server.address())
    const started = start('--port', String(port), '--data', await folder())
    expect(await started.exit).toBe(1)
    expect(started.output()).toBe(`Port ${port} is in use; choose free ones with --port N.\n`)
  })

  it('says in one line that a folder cannot be written', async () => {
    const file = join(await folder(), 'file')
    await writeFile(file, '')
    const started = start('--port', '0', '--data', join(file, 'below'))
    expect(await started.exit).toBe(1)
    expect(started.output()).toBe(`Cannot write to ${join(file, 'below')}; choose a folder with --data DIR.\n`)
  })

  it.each([
    [['--port', 'abc'], '--port: expected a number, 0 to 65531'],
    [['--paths', 'odd'], '--paths: expected raw or decoded'],
    [['--last-modified', 'odd'], '--last-modified: expected start or end'],
    [['--variables', 'odd'], '--variables: expected process or context or split'],
    [['--origin', '*'], '--origin: expected http(s)://host or http(s)://host:port, not *'],
    [['--origin', 'http://a.example/page'], /^--origin: expected [^\n]*$/],
    [['--origin', 'file:///page.html'], /^--origin: expected [^\n]*$/],
    [['--set', 'ACESS=signed'], /^--set: there is no variable ACESS; there are COS_BUCKET, [^\n]*$/],
    [['--set', 'COS_BUCKET=photos-1'], "--set: COS_BUCKET is the local cloud's"],
    [['--set', 'COS_REGION=ap-beijing'], "--set: COS_REGION is the local cloud's"],
    [['--set', 'COS_ENDPOINT=http://127.0.0.1'], "--set: COS_ENDPOINT is the local cloud's"],
    [['--empty', '--set', 'ACCESS=open'], /^--set: with --empty, [^\n]*$/],
    [['--set', 'ACCESS'], '--set: expected NAME=VALUE, not ACCESS'],
    [['--prot', '1'], /^Unknown option '--prot'[^\n]*$/],
  ])('refuses %j in one line', (args, line) => {
    expect(() => readOptions(args)).toThrow(line)
  })

  it('says what is wrong with its arguments, and exits with 1', async () => {
    const started = start('--port', 'abc')
    expect(await started.exit).toBe(1)
    expect(started.output()).toBe('--port: expected a number, 0 to 65531\n')
  })
})
