import type { Layout } from './layout.ts'

/** A rule of Pic-Operations: `fileid` is the result's key with a leading slash, which makes it absolute. */
export interface PicRule {
  /** Where the result goes, if not into the bucket of the photo. */
  bucket?: string
  fileid: string
  rule: string
}

/** How long a paid call is good for; both in milliseconds since the epoch. */
export interface PaidTime {
  /** By COS's clock: then its signature ends, so that however late it arrives, it is not done after that. */
  until: number
  /** By ours: then nobody waits for the answer any more. */
  deadline: number
}

/**
 * The calls that cost money. Each is sent once and never repeated.
 * @throws MattingError unknown-outcome when it may have been done and billed all the same.
 */
export interface Paid {
  /**
   * Method three of the vendor's page: makes cutouts from a stored photo, by at most five rules. Returns the ETag of the photo
   * that was cut out, if it is told.
   */
  process(key: string, rules: readonly PicRule[], time: PaidTime): Promise<string | undefined>
  /** Method two: stores a photo and makes cutouts from it on the way. Returns what `process` does. */
  upload(
    key: string,
    photo: { body: Buffer; type: string },
    rules: readonly PicRule[],
    time: PaidTime,
  ): Promise<string | undefined>
  /** Method one, of a picture elsewhere: the cutout, or undefined if it has more than 32 MiB, which is paid as well. */
  detect(url: string, layout: Layout, time: PaidTime): Promise<Buffer | undefined>
}

/** The key to them in a client of COS. Whoever has it can pay, so only lib/pay imports it; a test holds this. */
export const paid: unique symbol = Symbol('paid')
