// npm run bench [-- --photos DIR]: prints figures to compare by hand, each beside another one that was measured in the same
// run.
import { parseArgs } from 'node:util'
import { benchLive } from './live.ts'
import { benchMatte } from './matte.ts'
import { benchPeak } from './peak.ts'
import { benchScenes } from './scenes.ts'
import { benchSign } from './sign.ts'
import { benchStart } from './start.ts'
import { benchView } from './view.ts'
import { benchWarm } from './warm.ts'
import { benchWeight } from './weight.ts'

const { values } = parseArgs({ options: { photos: { type: 'string' } } })
await benchSign()
await benchStart()
await benchWarm()
await benchView()
await benchLive()
await benchMatte(values.photos)
await benchPeak()
await benchWeight()
await benchScenes()
