#!/usr/bin/env node
// The command is compiled, because it starts in a third of the time; in a clone it is compiled anew after each change.
import { existsSync } from 'node:fs'

const compiler = new URL('../compile.mjs', import.meta.url)
if (existsSync(compiler)) {
  const { compile, isStale } = await import(compiler.href)
  if (isStale()) await compile()
}
const { main } = await import(new URL('../build/command.mjs', import.meta.url).href)
process.exitCode = await main(process.argv.slice(2), process.env)
