import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import { type Cos, type Key, startCos } from '../../local/cos/cos.ts'
import { defaultReadings } from '../../local/cos/readings.ts'
import { createFaults } from '../../local/faults.ts'
import { BUCKET, cut, ID, REGION, type Reply, SECRET, type Sent, send } from './cos.ts'

export interface Shop extends Cos {
  keys: Map<string, Key>
  send(method: string, key: string, sent?: Sent): Promise<Reply>
  /** A signed GET of an object with this operation. */
  view(key: string, operation: string): Promise<Reply>
  /** As if nobody had changed or asked anything, with the objects still there. */
  tidy(): void
  end(): Promise<void>
}

/** A local COS for all the tests of a file. */
export async function openShop(): Promise<Shop> {
  const dir = mkdtempSync(join(tmpdir(), 'shop-'))
  const keys = new Map<string, Key>([[ID, { secret: SECRET }]])
  const onEvent = () => {}
  const cos = await startCos({
    dir,
    port: 0,
    bucket: BUCKET,
    region: REGION,
    keys,
    cut,
    faults: createFaults(),
    onEvent,
  })
  const ask: Shop['send'] = (method, key, sent = {}) => send(cos.port, method, key, sent)
  return {
    ...cos,
    keys,
    send: ask,
    view: (key, operation) => ask('GET', key, { query: { [operation]: '' } }),
    tidy: () => void Object.assign(cos.readings, defaultReadings()),
    async end() {
      await cos.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Four quarters: red, lime, blue, white. */
export function quarters(width: number, height: number): Sharp {
  const quarter = (background: string) =>
    ({ create: { width: width / 2, height: height / 2, channels: 3, background } }) as const
  return sharp({ create: { width, height, channels: 3, background: 'white' } }).composite([
    { input: quarter('#ff0000'), left: 0, top: 0 },
    { input: quarter('#00ff00'), left: width / 2, top: 0 },
    { input: quarter('#0000ff'), left: 0, top: height / 2 },
  ])
}

/** A disc of one grey on transparency that hides another. */
export async function disc(size: number, inside: number, hidden: number): Promise<Buffer> {
  const data = Buffer.alloc(size * size * 4)
  for (let i = 0; i < size * size; i++) {
    const within = Math.hypot((i % size) + 0.5 - size / 2, Math.floor(i / size) + 0.5 - size / 2) < size / 3
    data.fill(within ? inside : hidden, i * 4, i * 4 + 3)
    data[i * 4 + 3] = within ? 255 : 0
  }
  return sharp(data, { raw: { width: size, height: size, channels: 4 } })
    .png()
    .toBuffer()
}

/** `#rrggbbaa` of a pixel. */
export async function pixel(image: Buffer, x: number, y: number): Promise<string> {
  const at = await sharp(image)
    .toColourspace('srgb')
    .ensureAlpha()
    .extract({ left: x, top: y, width: 1, height: 1 })
    .raw()
    .toBuffer()
  return `#${at.toString('hex')}`
}
