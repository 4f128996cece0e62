import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { median } from './sign.ts'

const ROUNDS = 25

/** What the bundles weigh, and what loading one adds to the start of an empty Node: whole processes, alternating. */
export async function benchStart(): Promise<void> {
  for (const name of ['image', 'upload']) {
    const file = fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url))
    const [empty, loaded, sdk]: number[][] = [[], [], []]
    for (let round = 0; round < ROUNDS; round++) {
      empty?.push(run(''))
      loaded?.push(run(`require(${JSON.stringify(file)})`))
      if (name === 'image') sdk?.push(run(`require('cos-nodejs-sdk-v5')`))
    }
    const base = median(empty ?? [])
    const extra = (median(loaded ?? []) - base).toFixed(1)
    const compared = sdk?.length ? `; the SDK alone ${(median(sdk) - base).toFixed(1)} ms` : ''
    const size = (statSync(file).size / 1000).toFixed(1)
    console.log(
      `${name.padEnd(15)} ${size} kB; start ${extra} ms over an empty Node's ${base.toFixed(1)} ms${compared}`,
    )
  }
}

function run(code: string): number {
  const start = performance.now()
  spawnSync(process.execPath, ['-e', code])
  return performance.now() - start
}
