// One instance of a function: a worker thread that loads the built bundle as SCF's Node runtime does, and serves one request
// at a time. Plain JavaScript, so that an instance starts as bare as it would in the cloud.
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

const { file, method, hosts, skew, ahead } = workerData
const rightNow = Date.now
Date.now = () => rightNow() + skew + Number(Atomics.load(ahead, 0))
// Time passes for this clock too; but nobody sets it, so it is never wrong.
const { now: steady } = performance
performance.now = () => Reflect.apply(steady, performance, []) + Number(Atomics.load(ahead, 0))
// The internet, as far as it is on this machine. The function sees the name, and looks no address up.
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
  // The role's credentials rotate: SCF sets them anew for every invocation.
  Object.assign(process.env, environment)
  const getRemainingTimeInMillis = () => deadline - rightNow()
  try {
    const result = await handler(JSON.parse(event), { ...context, getRemainingTimeInMillis })
    parentPort?.postMessage({ result: JSON.stringify(result) })
  } catch (error) {
    parentPort?.postMessage({ error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })
  }
})
