import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'

/** A clone before `npm ci`. */
let clone = ''
beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), 'clone-'))
  onTestFinished(() => rm(clone, { recursive: true, force: true }))
  const names = [
    'build.mjs',
    'compile.mjs',
    'lean.mjs',
    'licences.mjs',
    'page.mjs',
    'place.mjs',
    'prepare.mjs',
    'package.json',
  ]
  const folders = ['cli', 'lib', 'local', 'functions', 'index.ts', 'cloud.ts', 'package-lock.json', 'tsconfig.json']
  for (const name of [...names, ...folders]) await cp(name, join(clone, name), { recursive: true })
})

/** Runs something there. @returns how it ended, and what it said, without the lines of npm's own */
function run(program: string, ...args: string[]): Promise<{ code: unknown; said: string[] }> {
  return new Promise((done) => {
    execFile(program, args, { cwd: clone }, (error, out, err) => {
      const said = `${out}${err}`.split('\n').filter((line) => line !== '' && !/^(>|npm notice)/.test(line))
      done({ code: error?.code ?? 0, said })
    })
  })
}

describe('attack: a clone in which nothing can be built', () => {
  it('installed with --omit=dev: npm’s prepare says so and succeeds', async () => {
    expect(await run('npm', 'run', 'prepare')).toEqual({
      code: 0,
      said: [expect.stringContaining('Nothing is built, for esbuild is not installed (--omit=dev)')],
    })
  })

  it('is not packed', async () => {
    expect(await run('npm', 'pack', '--offline')).toMatchObject({ code: 1 })
  })

  it('and not compiled: the command says what to do, instead of a stack', async () => {
    const { code, said } = await run(process.execPath, 'cli/cos-goods-matting.mjs', '--help')
    expect(code).toBe(1)
    expect(said).toEqual([
      expect.stringMatching(
        /^The command is older than its sources, and cannot be compiled: Cannot find package 'esbuild'/,
      ),
      'Run `npm ci`, without --omit=dev, where the clone can be written.',
    ])
  })

  it('on a disk that cannot be written: the same', async () => {
    await symlink(resolve('node_modules'), join(clone, 'node_modules'))
    // Root may write everything, but not into a file as if it were a folder.
    await mkdir(join(clone, 'build'))
    await writeFile(join(clone, 'build/page'), '')
    const { code, said } = await run(process.execPath, 'cli/cos-goods-matting.mjs', '--help')
    expect(code).toBe(1)
    expect(said).toEqual([
      expect.stringMatching(/cannot be compiled: \w+: .*mkdir/),
      'Run `npm ci`, without --omit=dev, where the clone can be written.',
    ])
  })
})
