import { setTimeout as sleep } from 'node:timers/promises'
import type { Cos } from '../../lib/cos.ts'
import { type Layout, plain } from '../../lib/layout.ts'
import { type PresignedUpload, presignUpload, putPhoto } from '../../lib/pay/pay.ts'
import { UPLOAD } from '../../local/cloud.ts'
import { md5, type Place, partsOf, put } from '../helpers/uploads.ts'

/** The presets of every photo. PRESETS, SETTINGS and LAYOUTS all describe the same two. */
export const PRESETS = ['plain', 'card']
export const SETTINGS = {
  PRESETS: 'plain=; card=center-layout=1&padding-layout=4x4',
  ON_UPLOAD: 'uploads/=plain,card',
}
export const LAYOUTS: readonly Layout[] = [plain, { center: true, dx: 4, dy: 4 }]

/**
 * All ways in which a photo comes into the bucket and leaves it. Those that put a photo try until it is accepted, whatever
 * strikes.
 */
export interface Ways {
  put(key: string, body: Buffer): Promise<void>
  /** A server uploads the photo and has it cut out in the same call. */
  upload(key: string, body: Buffer): Promise<void>
  /** A browser uploads the photo, with a PUT that a server signs for so many seconds. */
  browse(key: string, body: Buffer, seconds: number): Promise<void>
  sign(key: string, body: Buffer, seconds: number): Promise<PresignedUpload | undefined>
  /** Sends a signed PUT. @returns whether the photo is stored, by the answer */
  send(signed: PresignedUpload | undefined, body: Buffer): Promise<boolean>
  remove(key: string): Promise<void>
}

/** @param skew gives how far the clock of the next server is ahead, in milliseconds */
export function createWays(place: Place, bucket: Cos, settings: Record<string, string>, skew: () => number): Ways {
  const type = 'image/jpeg'
  const ways: Ways = {
    async put(key, body) {
      await persist(() => bucket.put(key, body, { type }))
    },
    async upload(key, body) {
      await persist(() => putPhoto(partsOf(place, settings, skew()), key, { body, type }, LAYOUTS))
    },
    async browse(key, body, seconds) {
      if (!(await ways.send(await ways.sign(key, body, seconds), body))) await ways.put(key, body)
    },
    async sign(key, body, seconds) {
      const photo = { key, md5: md5(body), type, size: body.length }
      return presignUpload(partsOf(place, settings, skew()), photo, LAYOUTS, UPLOAD, seconds).catch(() => undefined)
    },
    async send(signed, body) {
      for (let tries = 0; signed && tries < 3; tries++) {
        const answer = await put(signed, body).catch(() => undefined)
        const text = await answer?.text().catch(() => '<Error>')
        // 409 means that the photo is there: an earlier try stored it and its answer was lost, or somebody else has put it. A
        // 200 may hold an error.
        if ((answer?.ok && !text?.includes('<Error>')) || answer?.status === 409) return true
        if (answer?.status === 403) return false
        await sleep(50)
      }
      return false
    },
    async remove(key) {
      await persist(() => bucket.delete(key))
    },
  }
  return ways
}

async function persist(work: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await work()
      return
    } catch {
      await sleep(50)
    }
  }
}
