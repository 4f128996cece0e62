import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { median } from './sign.ts'

const PAIRS = 31

/** What the bundles weigh, and what loading one adds to the start of an empty Node. */
export async function benchStart(): Promise<void> {
  for (const name of ['image', 'upload']) {
    const file = fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url))
    const { added, empty } = compare(`require(${JSON.stringify(file)})`)
    const size = (statSync(file).size / 1000).toFixed(1)
    console.log(
      `${name.padEnd(15)} ${size} kB; start ${added.toFixed(1)} ms over an empty Node's ${empty.toFixed(1)} ms (median of ${PAIRS} pairs)`,
    )
  }
  console.log(
    `the SDK alone   start ${compare(`require('cos-nodejs-sdk-v5')`).added.toFixed(1)} ms over an empty Node's`,
  )
}

/** Milliseconds, the medians over pairs of whole processes: of the difference within a pair, and of the empty one. */
function compare(code: string): { added: number; empty: number } {
  const pairs = Array.from({ length: PAIRS }, () => {
    const empty = run('')
    return { empty, added: run(code) - empty }
  })
  return { added: median(pairs.map(({ added }) => added)), empty: median(pairs.map(({ empty }) => empty)) }
}

function run(code: string): number {
  const start = performance.now()
  spawnSync(process.execPath, ['-e', code])
  return performance.now() - start
}
