// npm run bench [-- --photos DIR]: figures to compare by hand, each against something measured in the same run.
import { parseArgs } from 'node:util'
import { benchMatte } from './matte.ts'
import { benchSign } from './sign.ts'
import { benchStart } from './start.ts'
import { benchWarm } from './warm.ts'

const { values } = parseArgs({ options: { photos: { type: 'string' } } })
await benchSign()
await benchStart()
await benchWarm()
await benchMatte(values.photos)
