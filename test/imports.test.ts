import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createCos } from '../lib/cos.ts'

const credentials = { secretId: 'local-id', secretKey: 'local-secret' }

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
    return [] // cli does not exist yet
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
    /^local\/((api|cos|matte|scf)\/|(clock|faults|folder|guard|layout|receiver|welcome)\.ts$)/,
    /^(lib|functions|cli)\//,
    'else the local cloud would agree with the mistakes of what it tests',
  ],
  [/^local\//, /^(functions|cli)\//, 'the local cloud runs what is built'],
  [/^cli\//, /^(functions|local)\//, 'the command knows the account only from outside'],
  [/^(functions|local|lib|cli)\//, /^test\//, 'tests stand outside'],
]

describe('imports go one way', () => {
  it.each(forbidden)('%s not to %s: %s', (from, to) => {
    expect(files.some((file) => from.test(file))).toBe(true)
    expect(imports.filter(({ file, target }) => from.test(file) && to.test(target))).toEqual([])
  })

  it('in no circle, not even of types', () => {
    const targets = new Map(
      files.map((file) => [file, imports.filter((one) => one.file === file).map((one) => one.target)]),
    )
    const known = new Set<string>()
    const circles: string[] = []
    function follow(file: string, way: readonly string[]): void {
      if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' → '))
      if (known.has(file)) return
      known.add(file)
      for (const target of targets.get(file) ?? []) follow(target, [...way, file])
    }
    for (const file of files) follow(file, [])
    expect(circles).toEqual([])
  })

  it('nobody but lib/pay/buy.ts can make a call that is paid, by whatever name it calls its client', () => {
    const importers = imports.filter(({ target }) => target === 'lib/paid.ts').map(({ file }) => file)
    // The client's own file defines them.
    expect(importers.sort()).toEqual(['lib/cos.ts', 'lib/pay/buy.ts'])
    // Without the key they are not there, whether by types, which `tsc` checks here, or by name.
    const store = createCos({ endpoint: 'http://127.0.0.1:1', credentials, deadline: 0, now: () => 0, random: () => 0 })
    // @ts-expect-error: there is no such method
    expect([store.process, Object.keys(store).filter((name) => /process|upload|detect|paid/.test(name))]).toEqual([
      undefined,
      [],
    ])
  })

  it('all but the door of lib/pay is private', () => {
    const inside = imports.filter(({ file, target }) => target.startsWith('lib/pay/') && !file.startsWith('lib/pay/'))
    expect(new Set(inside.map(({ target }) => target))).toEqual(new Set(['lib/pay/pay.ts']))
  })

  it('only lib/http.ts opens connections, only the two event.ts know the platform', () => {
    const network = imports.filter(
      ({ file, target }) => /^(lib|functions)\//.test(file) && /^node:(https?|net|tls)/.test(target),
    )
    // external.ts guards which addresses a connection may lead to.
    expect(new Set(network.map(({ file }) => file))).toEqual(new Set(['lib/external.ts', 'lib/http.ts']))
    const platform = files.filter(
      (file) => /cosObject|queryString/.test(readFileSync(file, 'utf8')) && /^(lib|functions)\//.test(file),
    )
    // A dead letter is an event as it came.
    expect(platform.sort()).toEqual(['functions/image/event.ts', 'functions/upload/event.ts', 'lib/replay.ts'])
  })
})

it.each(['upload', 'image'])('the bundle of %s stays small, for a cold start reads all of it', (name) => {
  expect(statSync(`dist/${name}.js`).size).toBeLessThanOrEqual(105_000)
})
