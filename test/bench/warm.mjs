// An instance of the image function as it is deployed. It is a process of its own for each setting, without the bench's loader.
import { createRequire } from 'node:module'

const ROUNDS = 9
const CALLS = 3_000

const { main_handler } = createRequire(import.meta.url)('../../dist/image.js')
const [target = '', control] = process.argv.slice(2)
const { pathname: path, searchParams } = new URL(target)
const event = { httpMethod: 'GET', path, queryString: Object.fromEntries(searchParams), headers: { accept: '*/*' } }
const context = { getRemainingTimeInMillis: () => 30_000 }
const answer = await main_handler(event, context)

async function cosCalls() {
  const requests = await (await fetch(`${control}/api/requests`)).json()
  return Object(requests).length
}

/** Microseconds of CPU per call. @param {(event: unknown, context: unknown) => Promise<unknown>} handler */
async function time(handler) {
  const before = process.cpuUsage()
  for (let i = 0; i < CALLS; i++) await handler(event, context)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / CALLS
}

const before = await cosCalls()
/** @type {{ warm: number[], bare: number[] }} */
const times = { warm: [], bare: [] }
for (let round = 0; round <= ROUNDS; round++) {
  const warm = await time(main_handler)
  const bare = await time(async () => ({ ...answer }))
  // In the first round the code is still being compiled.
  if (round === 0) continue
  times.warm.push(warm)
  times.bare.push(bare)
}
const { statusCode, headers } = await main_handler(event, context)
const calls = (await cosCalls()) - before
console.log(JSON.stringify({ ...times, answer: `${statusCode} ${headers['x-matting']}`, calls }))
process.exit()
