import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { mulberry32 } from '../../local/faults.ts'
import { begin } from '../helpers/uploads.ts'
import type { Ways } from './ways.ts'

/** A photo, and another one that may take its name for a while. */
export interface Photo {
  key: string
  fate: Fate
  /** The photo's own random numbers, so that what happens to it does not depend on when others are handled. */
  random: () => number
  body: Buffer
  other: Buffer
}

type Act = (photo: Photo, ways: Ways) => Promise<void>
/** What begins before time passes; it returns what happens after that. */
type LateAct = (photo: Photo, ways: Ways) => Promise<() => Promise<void>>

/** What happens to a photo while faults strike and everybody asks for its cutouts. */
export const STORM = {
  put: ({ key, body }, ways) => ways.put(key, body),
  upload: ({ key, body }, ways) => ways.upload(key, body),
  presigned: ({ key, body, random }, ways) => ways.browse(key, body, 1 + whole(random, 20)),
  /** A PUT is signed but not used: the photo is put in another way. */
  unused: async ({ key, body, random }, ways) => {
    await ways.sign(key, body, 1 + whole(random, 4))
    await sleep(whole(random, 1_000))
    await ways.put(key, body)
  },
  /** It comes in two ways at the same moment. */
  both: async (photo, ways) => {
    await Promise.all([putSomehow(photo, ways), putSomehow(photo, ways)])
  },
  /** Replaced by another photo and then put back, most likely while its cutouts are claimed and those of the other are made. */
  replaced: async (photo, ways) => {
    const { key, body, other, random } = photo
    await putSomehow(photo, ways)
    await sleep(150 + whole(random, 500))
    await ways.put(key, other)
    await sleep(100 + whole(random, 700))
    await (random() < 0.7 ? ways.put(key, body) : ways.upload(key, body))
  },
  deleted: async (photo, ways) => {
    await putSomehow(photo, ways)
    await sleep(whole(photo.random, 1_200))
    await ways.remove(photo.key)
    await sleep(whole(photo.random, 800))
    await putSomehow(photo, ways)
  },
  /** It is deleted, and the same signed PUT is sent again. */
  resent: async ({ key, body, random }, ways) => {
    const signed = await ways.sign(key, body, 30)
    await ways.send(signed, body)
    await sleep(whole(random, 1_500))
    await ways.remove(key)
    if (!(await ways.send(signed, body))) await ways.put(key, body)
  },
  gone: async (photo, ways) => {
    await putSomehow(photo, ways)
    await sleep(whole(photo.random, 1_200))
    await ways.remove(photo.key)
  },
} satisfies Record<string, Act>

/**
 * What happens to a photo that is on its way while time passes. The faults that delay or hold its requests are in trouble.ts.
 */
export const LATE = {
  /** A signed PUT whose body takes longer than its claim. */
  slow: async ({ key, body, random }, ways) => {
    const signed = await ways.sign(key, body, 1 + whole(random, 10))
    const slow = signed && (await begin(signed, body))
    slow?.put.write(body.subarray(0, 100))
    return async () => {
      slow?.put.end(body.subarray(100))
      const status = await slow?.status
      if (status !== 200 && status !== 409) await ways.put(key, body)
    }
  },
  /** A signed PUT whose body never ends. */
  stopped: async ({ key, body, random }, ways) => {
    const signed = await ways.sign(key, body, 1 + whole(random, 10))
    const slow = signed && (await begin(signed, body))
    slow?.put.write(body.subarray(0, 100))
    return async () => {
      slow?.put.destroy()
      await ways.put(key, body)
    }
  },
  /** A PUT is signed but not used: the photo is put in another way after the signature has expired. */
  unsent: async ({ key, body, random }, ways) => {
    await ways.sign(key, body, 1 + whole(random, 10))
    return () => ways.put(key, body)
  },
  /** A server uploads over a slow connection. */
  lazy: async ({ key, body }, ways) => {
    const uploading = ways.upload(key, body)
    return () => uploading
  },
  /** A server uploads over a slow connection, and somebody else puts the photo meanwhile. */
  twice: async ({ key, body }, ways) => {
    const uploading = ways.upload(key, body)
    return async () => {
      await ways.put(key, body)
      await uploading
    }
  },
  /** The signer is frozen. The PUT is sent if it is still valid after that. */
  frozen: async ({ key, body, random }, ways) => {
    const signing = ways.sign(key, body, 1 + whole(random, 10))
    return async () => {
      if (!(await ways.send(await signing, body))) await ways.put(key, body)
    }
  },
  /** The signer is frozen, and meanwhile the photo is put, cut out if the claim has ended, and deleted. */
  overtaken: async ({ key, body, random }, ways) => {
    const signing = ways.sign(key, body, 15)
    return async () => {
      await ways.put(key, body)
      await sleep(6_000 + whole(random, 3_000))
      await ways.remove(key)
      if (!(await ways.send(await signing, body))) await ways.put(key, body)
    }
  },
  /** The payer is frozen between its claim and its paid call. */
  paused: async ({ key, body, random }, ways) => {
    const coming = random() < 0.5 ? ways.put(key, body) : ways.upload(key, body)
    return () => coming
  },
  /** The trigger function is frozen while it writes its claim. */
  stalled: async ({ key, body }, ways) => {
    await ways.put(key, body)
    return async () => {}
  },
} satisfies Record<string, LateAct>

export type LateFate = keyof typeof LATE
export type Fate = keyof typeof STORM | LateFate

export function isLate(fate: Fate): fate is LateFate {
  return fate in LATE
}

/** Half of all photos are simply put. */
const FATES = [...Object.keys(STORM), 'replaced', 'replaced', ...Object.keys(LATE)].flatMap((fate) => [
  fate,
  'put',
]) as Fate[]

/** Draws the photos of a seed, with different colours and fates. */
export async function drawPhotos(seed: number, count: number): Promise<Photo[]> {
  const random = mulberry32(seed)
  const order = FATES.map((fate) => ({ fate, at: random() })).sort((a, b) => a.at - b.at)
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const fate = order[i % order.length]?.fate ?? 'put'
      const hue = (i * 47) % 360
      const [body, other] = await Promise.all([draw(hue, 25 + (i % 30)), draw((hue + 180) % 360, 25 + (i % 30))])
      return { key: `uploads/${fate}-${seed}-${i}.jpg`, fate, random: mulberry32(seed * 10_007 + i), body, other }
    }),
  )
}

async function putSomehow({ key, body, random }: Photo, ways: Ways): Promise<void> {
  const way = random()
  await sleep(whole(random, 50))
  if (way < 0.4) await ways.put(key, body)
  else if (way < 0.7) await ways.upload(key, body)
  else await ways.browse(key, body, 1 + whole(random, 5))
}

function whole(random: () => number, below: number): number {
  return Math.floor(random() * below)
}

function draw(hue: number, lightness: number): Promise<Buffer> {
  const product = `<circle cx="30" cy="24" r="14" fill="hsl(${hue} 80% ${lightness}%)"/>`
  const svg = `<svg width="64" height="48"><rect width="64" height="48" fill="#e4e4e6"/>${product}</svg>`
  return sharp(Buffer.from(svg)).jpeg().toBuffer()
}

/** The colour in the middle, where the product is, in the photo and in both of its cutouts. */
export async function colourOf(picture: Buffer): Promise<readonly number[]> {
  const { width, height } = await sharp(picture).metadata()
  const middle = { left: width >> 1, top: height >> 1, width: 1, height: 1 }
  return [...(await sharp(picture).removeAlpha().extract(middle).raw().toBuffer())]
}
