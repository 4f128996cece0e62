// A local cloud in a process of its own, to be killed or watched: tells where it is, and stays.
import { startCloud } from '../../local/cloud.ts'

const [data = '', environment = '{}'] = process.argv.slice(2)
const { cosUrl, controlUrl } = await startCloud({
  port: 0,
  data,
  retryDelay: 200,
  timeout: 12,
  environment: { CLAIM_TIME: '6', ...JSON.parse(environment) },
})
console.log(JSON.stringify({ cosUrl, controlUrl }))
