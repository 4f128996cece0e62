import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { main } from '../cli/main.ts'
import { onPorts, photo, putQuietly, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { sample } from './helpers/samples.ts'

/** What is another one each time, in whatever is compared. */
const VARIES: readonly [RegExp, string][] = [
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( ?Z| UTC)?/g, '<time>'],
  [/\d{4}-\d\d-\d\d/g, '<day>'],
  [/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g, '<id>'],
  [/(?<![\da-f])[\da-f]{32}(?![\da-f])/g, '<etag>'],
  [/\b\d+(\.\d+)? [kMG]?B\b/g, '<size>'],
  [/\b\d+(\.\d+)?( ?ms| ?s\b| seconds?)/g, '<ms>'],
  [/(sig|q-signature|exp|q-sign-time|q-key-time)=[^&\s"]+/g, '$1=<varies>'],
  [/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>'],
  [/\b[\d,]+ bytes/g, '<bytes>'],
]

const text = await readFile('docs/operate.md', 'utf8')
/** The commands of the page's transcripts with what they print, in their order. */
const transcripts = Array.from(text.matchAll(/^```console\n([\s\S]*?)^```/gm), ([, block = '']) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((one) => {
      const [command = '', ...printed] = one.split('\n')
      return { command, printed: printed.join('\n').trimEnd() }
    }),
).flat()

describe('docs/operate.md: what is printed there is what is printed', () => {
  let cloud: TestCloud
  let port = 0
  let code = 0
  beforeAll(async () => {
    cloud = await onPorts((free) => {
      port = free
      return startTestCloud({ port: free, environment: { CLAIM_TIME: '60', REDIRECT_TTL: '300' } })
    })
    await cloud.upload('uploads/mug.jpg', (await sample('mug')).jpeg)
    // As if there had been no function when these came.
    await putQuietly(cloud, 'uploads/shoes/1.jpg', await photo('#203040'))
    await putQuietly(cloud, 'uploads/shoes/2.jpg', await photo('#b03020'))
    await cloud.bucket.put('uploads/notes.txt', 'notes', { type: 'text/plain' })
  })
  afterAll(() => cloud.close())

  async function run(command: string): Promise<string> {
    if (command === 'echo $?') return String(code)
    let [, args = ''] = /^npx cos-goods-matting (.*)$/.exec(command) ?? []
    expect(args, command).toContain('--local')
    const lines: string[] = []
    const spies = (['log', 'error'] as const).map((method) =>
      vi.spyOn(console, method).mockImplementation((line) => void lines.push(String(line))),
    )
    // Image URLs are on the next port.
    args = args.replace('127.0.0.1:4511', `127.0.0.1:${port + 1}`)
    const words = Array.from(args.matchAll(/["']([^"']*)["']|(\S+)/g), ([, quoted, word]) => quoted ?? word ?? '')
    code = await main([...words, '--port', String(port)], {})
    for (const spy of spies) spy.mockRestore()
    return lines.join('\n').trimEnd()
  }
  const steady = (printed: string) => VARIES.reduce((kept, [what, name]) => kept.replace(what, name), printed)

  it.each(transcripts)('$command', async ({ command, printed }) => {
    expect(steady(await run(command))).toBe(steady(printed))
  })

  it('works with the variables that the running functions have, and sees no keys', async () => {
    const { functions, triggers } = Object(await (await fetch(`${cloud.controlUrl}/api/functions`)).json())
    expect(functions.map(({ name, handler }: Record<string, string>) => [name, handler])).toEqual([
      ['upload', 'upload.main_handler'],
      ['image', 'image.main_handler'],
    ])
    const { environment } = functions[0]
    expect(environment).toMatchObject({ SOURCE_PREFIXES: 'uploads/', REDIRECT_TTL: '300' })
    expect(Object.keys(environment).filter((name) => name.startsWith('TENCENTCLOUD'))).toEqual([])
    expect(triggers[0]).toMatchObject({ function: 'upload', events: 'cos:ObjectCreated:*', prefix: 'uploads/' })
  })

  it('has a transcript of every command that works on a running cloud', async () => {
    const help = await run('npx cos-goods-matting --local help')
    const [, commands = ''] = /Commands:\n([\s\S]*?)\n\n/.exec(help) ?? []
    const names = Array.from(commands.matchAll(/^ {2}(\w+)/gm), ([, name = '']) => name)
    const shown = new Set(transcripts.map(({ command }) => command.split(' ')[2]))
    const others = ['deploy', 'undeploy', 'doctor', 'help']
    expect(names.filter((name) => !shown.has(name) && !others.includes(name))).toEqual([])
    expect(names).toContain('policy')
  })
})
