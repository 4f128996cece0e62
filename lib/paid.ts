import type { Layout } from './layout.ts'

/** A rule of Pic-Operations: `fileid` is the result's key with a leading slash, which makes it absolute. */
export interface PicRule {
  /** The bucket of the result, if it is not that of the photo. */
  bucket?: string
  fileid: string
  rule: string
}

/** The time limits of a paid call, both in milliseconds since the epoch. */
export interface PaidTime {
  /** When its signature ends, by COS's clock. A call that arrives later is not done. */
  until: number
  /** Until when we wait for the answer, by our clock. */
  deadline: number
}

/**
 * The calls that cost money. Each sends one request and never repeats it; buy.ts may call again after `busy`.
 * @throws MattingError unknown-outcome if it failed but may have been done and billed.
 */
export interface Paid {
  /**
   * Method three of the vendor's page: makes cutouts from a stored photo, by at most five rules. Returns the ETag of the photo
   * that was cut out, if the vendor tells it.
   */
  process(key: string, rules: readonly PicRule[], time: PaidTime): Promise<string | undefined>
  /** Method two: stores a photo and makes its cutouts in the same call. Returns the same as `process`. */
  upload(
    key: string,
    photo: { body: Buffer; type: string },
    rules: readonly PicRule[],
    time: PaidTime,
  ): Promise<string | undefined>
  /** Method one, for a picture elsewhere: returns the cutout, or undefined if it has more than 32 MiB; that is paid too. */
  detect(url: string, layout: Layout, time: PaidTime): Promise<Buffer | undefined>
}

/**
 * The property of a COS client that holds the paid calls. Code that imports it can pay, so only lib/pay may; a test checks
 * this.
 */
export const paid: unique symbol = Symbol('paid')
