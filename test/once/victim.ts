// A local cloud in a process of its own, to be killed or watched. It prints its URLs, and runs until it is ended.
import { startCloud } from '../../local/cloud.ts'

const [data = '', options = '{}'] = process.argv.slice(2)
const { environment, ...others } = JSON.parse(options)
const { cosUrl, controlUrl } = await startCloud({
  port: 0,
  data,
  retryDelay: 200,
  timeout: 12,
  environment: { CLAIM_TIME: '6', ...environment },
  ...others,
})
console.log(JSON.stringify({ cosUrl, controlUrl }))
