// One instance of a function: a worker thread that loads the built bundle as SCF's Node runtime does, and handles one request
// at a time. It is plain JavaScript, so that an instance starts without a loader, as in the cloud.
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

const { file, method, hosts, skew, ahead } = workerData
const rightNow = Date.now
Date.now = () => rightNow() + skew + Number(Atomics.load(ahead, 0))
// This clock also moves when the local cloud's time is moved ahead. It is monotonic, so it has no skew.
const { now: steady } = performance
performance.now = () => Reflect.apply(steady, performance, []) + Number(Atomics.load(ahead, 0))
// Host names that lead to this machine: the function still sees the name, and no address is looked up.
const connect = Socket.prototype.connect
Socket.prototype.connect = /** @type {typeof connect} */ (
  /** @this {Socket} */
  function (/** @type {unknown[]} */ ...args) {
    const port = hosts.get(Object(args.flat()[0]).host)
    return Reflect.apply(connect, this, port ? [{ port, host: '127.0.0.1' }] : args)
  }
)
const handler = createRequire(import.meta.url)(file)[method]

parentPort?.on('message', async ({ event, environment, context, deadline }) => {
  // The role's credentials rotate, so SCF sets them again for every invocation.
  Object.assign(process.env, environment)
  const getRemainingTimeInMillis = () => deadline - rightNow()
  const answer = await run(JSON.parse(event), { ...context, getRemainingTimeInMillis })
  // Its log comes by another way. Were it overtaken by the answer, its last lines would be those of the next invocation.
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((taken) => stream.write('', taken))))
  parentPort?.postMessage(answer)
})

/** @param {unknown} event @param {object} context */
async function run(event, context) {
  try {
    return { result: JSON.stringify(await handler(event, context)) }
  } catch (error) {
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
}
