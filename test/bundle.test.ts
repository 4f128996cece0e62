import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { describe, expect, it, onTestFinished } from 'vitest'
import { licences } from '../licences.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = (name: string) => join(root, 'dist', name)

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
