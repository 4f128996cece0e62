// One instance of a function: a worker thread that loads the built bundle as SCF's Node runtime does, and serves one request
// at a time. Plain JavaScript, so that an instance starts as bare as it would in the cloud.
import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'

const { file, method, skew } = workerData
const rightNow = Date.now
Date.now = () => rightNow() + skew
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
