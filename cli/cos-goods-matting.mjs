#!/usr/bin/env node
// The command runs from its sources, as `npm start` does.
import { register } from 'tsx/esm/api'

register()
const { main } = await import('./main.ts')
process.exitCode = await main(process.argv.slice(2), process.env)
