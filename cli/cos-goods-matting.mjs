#!/usr/bin/env node
// The command is compiled, because it starts in a third of the time; in a clone it is compiled anew after each change.
import { existsSync } from 'node:fs'

const compiler = new URL('../compile.mjs', import.meta.url)
if (existsSync(compiler)) {
  const { compile, isStale } = await import(compiler.href)
  try {
    if (isStale()) await compile()
  } catch (error) {
    // On a disk that is read only, or in a production install. What is older than the sources is not run in silence.
    console.error(
      `The command is older than its sources, and cannot be compiled: ${String(Object(error).message).split('\n')[0]}`,
    )
    console.error('Run `npm ci`, without --omit=dev, where the clone can be written.')
    process.exit(1)
  }
}
const { main } = await import(new URL('../build/command.mjs', import.meta.url).href)
process.exitCode = await main(process.argv.slice(2), process.env)
