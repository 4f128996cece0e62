import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { lean } from '../lean.mjs'
import * as whole from '../lib/answer.ts'
import { licences } from '../licences.mjs'
import { CREDENTIALS } from '../local/cloud.ts'
import { photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = (name: string) => join(root, 'dist', name)

/** Where the packages' own code is evaluated, which is not in a function of theirs: a default of the parser's options. */
const EVALUATED = '"#text"'

/** How often the innermost function ran, since the last time it was asked, that evaluates the XML parser in image.js. */
async function watchParser(): Promise<() => Promise<number | undefined>> {
  const source = await readFile(dist('image.js'), 'utf8')
  const place = source.indexOf(EVALUATED)
  expect(source.split(EVALUATED)).toHaveLength(2)
  const session = new Session()
  session.connect()
  onTestFinished(() => session.disconnect())
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  return async () => {
    const { result } = await session.post('Profiler.takePreciseCoverage')
    const { functions = [] } = result.find(({ url }) => url.endsWith('/dist/image.js')) ?? {}
    const around = functions.flatMap(({ ranges: [range] }) =>
      range && range.startOffset <= place && place < range.endOffset ? [range] : [],
    )
    return around.sort((a, b) => b.startOffset - a.startOffset)[0]?.count
  }
}

/** A new instance of the image function, in this process; of its answers the status and how the cutout was obtained. */
function instance({ cosUrl }: TestCloud): (name: string) => Promise<string> {
  const require = createRequire(import.meta.url)
  const file = dist('image.js')
  delete require.cache[file]
  const { main_handler } = require(file)
  const environment = {
    COS_BUCKET: 'photos-1250000000',
    COS_REGION: 'ap-guangzhou',
    COS_ENDPOINT: cosUrl,
    TENCENTCLOUD_SECRETID: CREDENTIALS.secretId,
    TENCENTCLOUD_SECRETKEY: CREDENTIALS.secretKey,
  }
  const context = { environment: JSON.stringify(environment) }
  return async (name) => {
    const event = { httpMethod: 'GET', path: `/plain/uploads/${name}.jpg`, queryString: {}, headers: {} }
    const { statusCode, headers } = await main_handler(event, context)
    return `${statusCode} ${headers['x-matting'] ?? ''}`
  }
}

it('the image function does without fetch and its classes, which Node takes 16 ms to load', async () => {
  const cloud = await startForTest()
  await putQuietly(cloud, 'uploads/mug.jpg', await photo())
  onTestFinished(() => void vi.unstubAllGlobals())
  for (const name of ['fetch', 'Request', 'Response', 'Headers']) vi.stubGlobal(name, undefined)
  const get = instance(cloud)
  expect([await get('mug'), await get('mug'), await get('nope')]).toEqual(['302 made', '302 hit', '404 '])
})

describe('the XML parser', () => {
  it('is evaluated for an answer in XML, and not for a hit', async () => {
    const cloud = await startForTest()
    await cloud.upload('uploads/cut.jpg', await photo())
    await putQuietly(cloud, 'uploads/new.jpg', await photo('#2040b0'))
    const evaluated = await watchParser()
    const get = instance(cloud)
    expect([await get('cut'), await get('cut'), await evaluated()]).toEqual(['302 hit', '302 hit', 0])
    expect([await get('new'), await evaluated()]).toEqual(['302 made', 1])
  })

  it('reads in the bundle what the whole package reads', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(root, 'lib/answer.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      write: false,
      plugins: [lean],
    })
    const code = Buffer.from(outputFiles[0]?.contents ?? '').toString('base64')
    const bundled: typeof whole = await import(`data:text/javascript;base64,${code}`)
    const read = (by: typeof whole, text: string) => {
      const answer = { status: 200, headers: {}, body: Buffer.from(text) }
      return [by.vendorCode(answer), attempt(() => by.readPage(answer, '')), attempt(() => by.readResult(answer))]
    }
    const [date, etag] = ['2026-01-01T00:00:00.000Z', '&quot;0123456789abcdef&quot;']
    const entry = `<Contents><Key>a</Key><Size>007</Size><ETag>${etag}</ETag><LastModified>${date}</LastModified></Contents>`
    const list = (inside: string) =>
      `<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>${inside}</ListBucketResult>`
    const result = `<UploadResult><OriginalInfo><ETag>${etag}</ETag></OriginalInfo></UploadResult>`
    const error = (code: string) => `<Error><Code>${code}</Code></Error>`
    const examples = [
      ...[list(''), list(entry), list(entry + entry), result, error('NoSuchKey'), error('1e3'), error('&c;')],
      ...[`<!DOCTYPE a [<!ENTITY c "javascript:alert(1)">]>${error('&c;')}`, `<?xml version="1.0"?>${result}`],
    ]
    for (const text of examples) expect(read(bundled, text), text).toEqual(read(whole, text))
    expect(read(bundled, list(entry))[1]).toMatchObject({ objects: [{ key: 'a', size: 7 }], more: false })
    const bit = fc.constantFrom(
      ...[
        '<Error>',
        '</Error>',
        '<Code>',
        '</Code>',
        '<a b="c">',
        '<a/>',
        '<!--',
        '-->',
        '<![CDATA[',
        ']]>',
        '&lt;',
        '&#65;',
      ],
      ...[
        '<!DOCTYPE a [',
        '<!ENTITY c "x">',
        ']>',
        '<?xml version="1.1"?>',
        '<',
        '>',
        '"',
        'a',
        '0x1',
        'true',
        ' ',
        '\n',
      ],
    )
    fc.assert(
      fc.property(fc.array(bit), (bits) => {
        const text = bits.join('')
        expect(read(bundled, text)).toEqual(read(whole, text))
        expect(read(bundled, `<Error><Code>${text}</Code></Error>`)).toEqual(
          read(whole, `<Error><Code>${text}</Code></Error>`),
        )
      }),
    )
  })
})

/** What a reading returns, or what it throws. */
function attempt(read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    return String(error)
  }
}

describe('dist/', () => {
  it.each(['image.js', 'upload.js'])('%s is at most 105 kB', async (name) => {
    expect((await stat(dist(name))).size).toBeLessThanOrEqual(105_000)
  })

  it.each(['image.js', 'upload.js'])('%s runs on Node 18.15 as well, which lacks two functions', (name) => {
    const [script, expected] = [
      'const c=require("crypto");c.hash=URL.canParse=undefined;require(process.argv[1]);' +
        'console.log(c.hash("sha1","a"),c.hash("md5",Buffer.from("b")),URL.canParse("http://a"),!URL.canParse("a"))',
      `${hash('sha1', 'a')} ${hash('md5', Buffer.from('b'))} true true\n`,
    ]
    expect(execFileSync(process.execPath, ['-e', script, dist(name)], { encoding: 'utf8' })).toBe(expected)
  })

  it('carries the licence of every package that is bundled, and our own', async () => {
    const text = await readFile(dist('LICENSES.txt'), 'utf8')
    expect(text.startsWith(await readFile(join(root, 'LICENSE'), 'utf8'))).toBe(true)
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: ['functions/upload/index.ts', 'functions/image/index.ts'],
      outdir: dist('none'),
      bundle: true,
      platform: 'node',
      write: false,
      metafile: true,
      plugins: [lean],
    })
    const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs))
    const folders = new Set<string>()
    for (const input of inputs.filter((path) => path.includes('node_modules'))) {
      const parts = input.split('/')
      const at = parts.lastIndexOf('node_modules')
      folders.add(join(root, ...parts.slice(0, at + (parts[at + 1]?.startsWith('@') ? 3 : 2))))
    }
    const names: string[] = []
    for (const folder of folders) {
      const { name, version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
      names.push(name)
      const [, after = ''] = text.split(`\n${name} ${version}\n\n`)
      const own = (await readdir(folder)).find((file) => /^licen[cs]e/i.test(file))
      if (own) expect(after.startsWith((await readFile(join(folder, own), 'utf8')).trim()), name).toBe(true)
      else expect(after, name).toMatch(/^MIT License\n\nCopyright \(c\) .+\n\nPermission is hereby granted, /)
    }
    expect(names).toEqual(expect.arrayContaining(['@middy/core', 'fast-xml-parser', 'strnum', '@nodable/entities']))
    expect(text).toContain('Copyright (c) 2017-2025 Luciano Mammino, will Farrell, and the Middy team')
    expect(text.match(/^-{72}$/gm)).toHaveLength(names.length)
  })

  it('is not built with a package whose licence cannot be carried along', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'licences-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const inputs = { 'node_modules/a/node_modules/@b/c/src/d.js': { bytesInOutput: 1 } }
    const output = { bytes: 1, inputs, imports: [], exports: [] }
    await mkdir(join(folder, 'node_modules/a/node_modules/@b/c'), { recursive: true })
    const manifest = (license: string) =>
      writeFile(
        join(folder, 'node_modules/a/node_modules/@b/c/package.json'),
        JSON.stringify({ name: '@b/c', license }),
      )
    await manifest('BSD-3-Clause')
    await expect(licences({ outputs: { output } }, folder)).rejects.toThrow('@b/c is bundled')
    await manifest('MIT')
    expect(await licences({ outputs: { output } }, folder)).toContain('Copyright (c) @b/c\n')
  })
})
