import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClock } from '../local/clock.ts'
import { createQueue } from '../local/scf/queue.ts'
import { element, type Lab, photo, startLab } from './helpers/cos.ts'

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'folder-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

describe('two clouds on one folder', () => {
  test('the second is refused, says which folder it is, and leaves it alone; once the first has ended, it is free', async () => {
    const dir = folder()
    const first = await startLab({ dir, keep: true })
    writeFileSync(join(dir, 'tmp', 'under-way'), '')
    const message = `The folder ${dir} is in use by another local cloud; choose another with --data DIR.`
    await expect(startLab({ dir, keep: true })).rejects.toThrow(message)
    expect(readdirSync(join(dir, 'tmp'))).toEqual(['under-way'])
    expect((await first.put('a')).status).toBe(200)
    await first.close()
    expect((await (await startLab({ dir, keep: true })).send('GET', 'a')).text).toBe('hello')
  })

  test('of many that start at the same moment, one has it, also by another name of the folder', async () => {
    const dir = folder()
    const linked = join(folder(), 'link')
    symlinkSync(tmpdir(), linked)
    const names = [
      join(linked, dir.slice(tmpdir().length)),
      `${dir}/`,
      join(dir, '..', dir.slice(tmpdir().length)),
      dir,
    ]
    const started = await Promise.allSettled(names.map((name) => startLab({ dir: name, keep: true })))
    expect(started.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('a start that fails for another reason lets go of it', async () => {
    const dir = folder()
    writeFileSync(join(dir, 'buckets.json'), '[1]')
    await expect(startLab({ dir, keep: true })).rejects.toThrow('buckets.json')
    rmSync(join(dir, 'buckets.json'))
    await startLab({ dir, keep: true })
  })

  test('another process holds it while it is frozen, and no longer than to its kill -9', async () => {
    const dir = folder()
    const code = `import { holdFolder } from './local/folder.ts'; await holdFolder(${JSON.stringify(dir)}); console.log('held'); setInterval(() => {}, 1e6)`
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void holder.kill('SIGKILL'))
    await once(holder.stdout, 'data')
    holder.kill('SIGSTOP')
    await expect(startLab({ dir, keep: true })).rejects.toThrow('in use')
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    await startLab({ dir, keep: true })
  })
})

/** A folder with an object, an upload under way and a bill, and what lies outside of it, none of which is its business. */
async function furnished() {
  const base = folder()
  const [dir, outside] = [join(base, 'cos'), join(base, 'outside')]
  mkdirSync(join(outside, 'folder'), { recursive: true })
  for (const name of ['secret', randomUUID(), join('folder', 'secret')]) writeFileSync(join(outside, name), 'outside')
  const lab = await startLab({ dir, keep: true })
  await lab.put('a.jpg', await photo())
  await lab.send('GET', 'a.jpg', { query: { 'ci-process': 'GoodsMatting' } })
  const uploadId = element(await lab.send('POST', 'big', { query: { uploads: '' } }), 'UploadId') ?? ''
  await lab.send('PUT', 'big', { query: { partNumber: '1', uploadId }, body: 'part' })
  await lab.close()
  const [meta = ''] = readdirSync(join(dir, 'meta'))
  const object = JSON.parse(readFileSync(join(dir, 'meta', meta), 'utf8'))
  const describe = (change: object) => writeFileSync(join(dir, 'meta', meta), JSON.stringify({ ...object, ...change }))
  return { dir, outside, meta, object, upload: join('uploads', uploadId), describe }
}

type Furnished = Awaited<ReturnType<typeof furnished>>

/** Puts a link to something outside in the place of a file or folder, if there is one. */
function link({ dir, outside }: Pick<Furnished, 'dir' | 'outside'>, name: string, to = ''): void {
  rmSync(join(dir, name), { recursive: true, force: true })
  symlinkSync(join(outside, to), join(dir, name))
}

/** All that lies in a folder, and what it says. */
function content(dir: string): string[] {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true })
  return entries.map((entry) => {
    const path = join(entry.parentPath, entry.name)
    return `${path} ${entry.isFile() ? readFileSync(path, 'utf8') : ''}`
  })
}

describe('a crafted folder leads nowhere else', () => {
  const other = randomUUID()
  test.each<[string, (made: Furnished) => unknown, RegExp]>([
    [
      'an object whose bytes are a file outside',
      ({ describe }) => describe({ file: '../../outside/secret' }),
      /meta.+does not/,
    ],
    [
      'an object whose bytes are a file of another folder',
      ({ describe }) => describe({ file: '../buckets.json' }),
      /meta/,
    ],
    ['an object whose bytes are the whole folder', ({ describe }) => describe({ file: '' }), /meta/],
    ['an object whose bytes are no text', ({ describe }) => describe({ file: ['../../outside/secret'] }), /meta/],
    [
      'an object whose bytes are not of the form of an id',
      ({ dir, object, describe }) => {
        renameSync(join(dir, 'bytes', object.file), join(dir, 'bytes', `${object.file}x`))
        describe({ file: `${object.file}x` })
      },
      /meta/,
    ],
    ['an object whose bytes are not there', ({ describe }) => describe({ file: other }), /meta/],
    ['an object in the place of another', ({ describe }) => describe({ key: 'b.jpg' }), /meta/],
    [
      'two objects with the same bytes',
      ({ dir, meta, object }) => {
        const path = join(dir, 'meta', meta)
        writeFileSync(path.replace(/[0-9a-f]{64}/, '0'.repeat(64)), JSON.stringify(object))
      },
      /meta/,
    ],
    ['what is no description', ({ dir, meta }) => writeFileSync(join(dir, 'meta', meta), 'null'), /meta/],
    ['what is no JSON', ({ dir, meta }) => writeFileSync(join(dir, 'meta', meta), '{'), /meta/],
    ['a link to bytes', (made) => link(made, join('bytes', made.object.file), 'secret'), /bytes.+neither/],
    ['a link to the folder of bytes', (made) => link(made, 'bytes'), /bytes is neither/],
    ['a link to descriptions', (made) => link(made, 'meta'), /meta is neither/],
    ['a link to uploads', (made) => link(made, 'uploads'), /uploads is neither/],
    ['a link to one upload', (made) => link(made, made.upload, 'folder'), /uploads.+neither/],
    ['a link to a part', (made) => link(made, join(made.upload, `2-${'0'.repeat(32)}`), 'secret'), /uploads.+neither/],
    ['a link to a bill', (made) => link(made, 'bill.jsonl', 'secret'), /bill.jsonl is neither/],
    ['a link to a bill that is to be made', (made) => link(made, 'bill.jsonl', 'new'), /bill.jsonl is neither/],
    ['a link to the buckets', (made) => link(made, 'buckets.json', 'secret'), /buckets.json is neither/],
    [
      'a link that the buckets are to be written through',
      (made) => link(made, 'buckets.json.tmp', 'secret'),
      /neither/,
    ],
    // Not where it would be read: should this ever fail, it must not wait for ever itself.
    ['a pipe', ({ dir }) => execFileSync('mkfifo', [join(dir, 'tmp', 'pipe')]), /tmp.pipe is neither/],
    [
      'a link to the folder itself',
      ({ dir, outside }) => {
        rmSync(dir, { recursive: true })
        symlinkSync(outside, dir)
      },
      /is not a folder/,
    ],
  ])('%s', async (_, craft, message) => {
    const made = await furnished()
    const before = content(made.outside)
    craft(made)
    await expect(startLab({ dir: made.dir, keep: true })).rejects.toThrow(message)
    expect(content(made.outside)).toEqual(before)
  })

  test('but as it was left it starts', async () => {
    const { dir, object } = await furnished()
    const lab: Lab = await startLab({ dir, keep: true })
    expect((await lab.send('GET', 'a.jpg')).headers.etag).toBe(`"${object.etag}"`)
    expect(lab.bill()).toHaveLength(1)
  })

  const id = randomUUID()
  const job = { id, function: 'upload', event: {}, failures: 0 }
  test.each<[string, string, object | string]>([
    ['an event whose file is outside', `${id}.json`, { ...job, id: '../../outside' }],
    ['an event in the place of another', `${randomUUID()}.json`, job],
    ['an event without an id', 'undefined.json', { ...job, id: undefined }],
    ['an event whose id has not the form of one', `x${id}.json`, { ...job, id: `x${id}` }],
    ['an event for no function', `${id}.json`, { ...job, function: null }],
    ['an event that has failed nobody knows how often', `${id}.json`, { ...job, failures: '0' }],
    ['what is no event', `${id}.json`, 'null'],
    ['what is no JSON', `${id}.json`, '{'],
  ])('%s is not delivered', async (_, name, event) => {
    const base = folder()
    const dir = join(base, 'events')
    mkdirSync(join(dir, 'waiting'), { recursive: true })
    writeFileSync(join(dir, 'waiting', name), typeof event === 'string' ? event : JSON.stringify(event))
    writeFileSync(join(base, 'outside.json'), 'outside')
    const before = content(base)
    let delivered = 0
    const queue = createQueue({ dir, retries: 0, retryDelay: 0, clock: createClock(), invoke: async () => delivered++ })
    await expect(queue).rejects.toThrow(/waiting.+does not describe an event/)
    rmSync(join(dir, 'dead'), { recursive: true })
    expect([delivered, content(base)]).toEqual([0, before])
  })

  test.each(['waiting', 'dead', join('waiting', `${id}.json`), join('dead', `${id}.json`)])(
    'a link in the place of %s among the events',
    async (name) => {
      const base = folder()
      const [dir, outside] = [join(base, 'events'), join(base, 'outside')]
      for (const path of [join(dir, 'waiting'), join(dir, 'dead'), outside]) mkdirSync(path, { recursive: true })
      writeFileSync(join(outside, `${id}.json`), JSON.stringify(job))
      const before = content(outside)
      link({ dir, outside }, name, name.endsWith('.json') ? `${id}.json` : '')
      let delivered = 0
      const queue = createQueue({
        dir,
        retries: 0,
        retryDelay: 0,
        clock: createClock(),
        invoke: async () => delivered++,
      })
      await expect(queue).rejects.toThrow('neither')
      expect([delivered, content(outside)]).toEqual([0, before])
    },
  )
})
