import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Receiver, startReceiver } from '../local/receiver.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { createSpeaker } from './helpers/inside.ts'

const EVENTS_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

let cloud: TestCloud
let receiver: Receiver
beforeAll(async () => {
  receiver = await startReceiver({ port: 0, secret: EVENTS_SECRET, print: () => {} })
  const environment = {
    EVENTS_URL: receiver.url,
    EVENTS_SECRET,
    ON_DELETE: 'remove',
    SOURCE_PREFIXES: 'uploads/, cards/, both/, idle/',
    PRESETS: 'card: center-layout 1, padding-layout 20x10, tile: width 160|480, format webp',
    ON_UPLOAD: 'uploads/: plain, cards/: card, both/: plain, card',
  }
  cloud = await startTestCloud({ environment, receiver })
})
afterAll(async () => {
  await cloud.close()
  receiver.close()
})
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask } = createSpeaker(() => cloud)

describe('an upload', () => {
  it.each([
    ['x.gif', 'image/gif'],
    ['x.svg', 'image/svg+xml'],
    ['x.heic', 'image/heic'],
    ['x.jpg', 'text/html'],
    ['no-ending', ''],
  ])('of what is never cut out is not let vanish in the bucket: %s of type %s', async (name, type) => {
    const { length: size } = await photo()
    const { status, json } = await ask('POST', '/api/uploads', { name, type, size, way: 'plain' })
    expect([status, json.error]).toEqual([415, expect.stringContaining('JPEG')])
  })
})
