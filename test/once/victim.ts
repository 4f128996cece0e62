// A local cloud to be killed: tells its COS, and stays.
import { startCloud } from '../../local/cloud.ts'

const data = process.argv[2] ?? ''
const { cosUrl } = await startCloud({ port: 0, data, retryDelay: 200, timeout: 12, environment: { CLAIM_TIME: '6' } })
console.log(cosUrl)
