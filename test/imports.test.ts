import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'

const files = ['functions', 'lib', 'local', 'cli'].flatMap((room) => list(room))
const imports = files.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import\(?|new URL\()\s*'([^']+)'/g)].map(([, target = '']) => ({
    file,
    target: target.startsWith('.') ? normalize(join(dirname(file), target)) : target,
  })),
)

function list(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ts|mjs)$/.test(name))
      .map((name) => `${folder}/${name}`)
  } catch {
    return [] // cli is not built yet
  }
}

/** Room → what it must not import. */
const forbidden: [from: RegExp, to: RegExp, why: string][] = [
  [/^lib\//, /^(functions|local|cli)\//, 'lib stands under everything'],
  [/^lib\/(layout|sign|errors)\.ts$/, /^lib\/(?!errors\.ts)/, 'leaves'],
  [/^functions\/upload\//, /^(functions\/image|local|cli)\//, 'functions know lib only'],
  [/^functions\/image\//, /^(functions\/upload|local|cli)\//, 'functions know lib only'],
  [/^(functions|lib)\//, /^(cos-nodejs-sdk-v5|sharp|yaml|esbuild|tsx)$/, 'runtime bundles stay tiny'],
  [
    /^local\/((cos|matte|scf)\/|(folder|guard|receiver)\.ts$)/,
    /^(lib|functions|cli)\//,
    'else the local cloud would agree with the mistakes of what it tests',
  ],
  [/^local\//, /^(functions|cli)\//, 'the local cloud runs what is built'],
  [/^(functions|local|lib)\//, /^test\//, 'tests stand outside'],
]

describe('imports go one way', () => {
  it.each(forbidden)('%s not to %s: %s', (from, to) => {
    expect(files.some((file) => from.test(file))).toBe(true)
    expect(imports.filter(({ file, target }) => from.test(file) && to.test(target))).toEqual([])
  })

  it('only lib/pay.ts makes calls that are paid', () => {
    const paying = files.filter((file) => /\bcos\.(process|upload|detect)\(/.test(readFileSync(file, 'utf8')))
    expect(paying).toEqual(['lib/pay.ts'])
  })

  it('only lib/cos.ts, lib/external.ts and lib/announce.ts know the network, only the two event.ts the platform', () => {
    const network = imports.filter(
      ({ file, target }) => /^(lib|functions)\//.test(file) && /^node:(https?|net|tls)/.test(target),
    )
    expect(new Set(network.map(({ file }) => file))).toEqual(
      new Set(['lib/announce.ts', 'lib/cos.ts', 'lib/external.ts']),
    )
    const platform = files.filter(
      (file) => /cosObject|queryString/.test(readFileSync(file, 'utf8')) && /^(lib|functions)\//.test(file),
    )
    // A dead letter is an event as it came.
    expect(platform.sort()).toEqual(['functions/image/event.ts', 'functions/upload/event.ts', 'lib/replay.ts'])
  })
})
