import type { Config } from './config.ts'
import { RECORDS } from './cutout.ts'

/** A policy of Tencent's access management, CAM (product/598/10604). */
export interface Policy {
  version: '2.0'
  statement: { effect: 'allow' | 'deny'; action: string[]; resource: string[] }[]
}

/**
 * What the role of the functions needs, and no more. It may pay for sources only: COS verifies only what a URL's signature
 * lists, so anybody can add `&ci-process=GoodsMatting` to the presigned URL of a cutout.
 */
export function rolePolicy(config: Config): Policy {
  const { sourcePrefixes, cutoutPrefix, cutoutBucket, detectHosts } = config
  const { cos, ci } = resources(config.bucket, config)
  const store = resources(cutoutBucket, config)
  const records = store.cos(`${RECORDS}*`)
  const cutouts = store.cos(`${cutoutPrefix}*`)
  // The calls for pictures elsewhere go to the root of the bucket.
  const paid = [...sourcePrefixes.map((prefix) => ci(`${prefix}*`)), ...(detectHosts.length > 0 ? [ci('')] : [])]
  return {
    version: '2.0',
    statement: [
      {
        effect: 'allow',
        action: ['name/cos:GetObject', 'name/cos:HeadObject'],
        resource: [...sourcePrefixes.map((prefix) => cos(`${prefix}*`)), cutouts, records],
      },
      { effect: 'allow', action: ['name/cos:PutObject'], resource: [cutouts, records] },
      // Claims are left out: an attempt that could be claimed twice could be paid twice.
      {
        effect: 'allow',
        action: ['name/cos:DeleteObject'],
        resource: [cutouts, ...['receipts', 'failed', 'frames'].map((name) => store.cos(`${RECORDS}${name}/*`))],
      },
      { effect: 'allow', action: ['name/cos:GetBucket'], resource: [...new Set([cos('*'), store.cos('*')])] },
      { effect: 'allow', action: ['ci:CreateGoodsMattingJob'], resource: paid },
      { effect: 'deny', action: ['ci:*'], resource: [store.ci(`${cutoutPrefix}*`), store.ci(`${RECORDS}*`)] },
    ],
  }
}

/**
 * What the user whose key signs the PUTs of `presignUpload` needs, and no more. COS verifies only the headers that a signature
 * lists. If this user could also read, anybody with the URL could copy any object over the photo (`x-cos-copy-source`).
 */
export function uploadPolicy(config: Config): Policy {
  const { cos, ci } = resources(config.bucket, config)
  const cutouts = resources(config.cutoutBucket, config).cos(`${config.cutoutPrefix}*`)
  const photos = config.sourcePrefixes.map((prefix) => cos(`${prefix}*`))
  const paid = config.sourcePrefixes.map((prefix) => ci(`${prefix}*`))
  return {
    version: '2.0',
    statement: [
      { effect: 'allow', action: ['name/cos:PutObject'], resource: [...photos, cutouts] },
      { effect: 'allow', action: ['ci:CreateGoodsMattingJob'], resource: paid },
    ],
  }
}

/** What the user whose key is DELIVERY_KEY needs: only to read. */
export function deliveryPolicy(config: Config): Policy {
  const photos = config.sourcePrefixes.map((prefix) => resources(config.bucket, config).cos(`${prefix}*`))
  const resource = [...photos, resources(config.cutoutBucket, config).cos(`${config.cutoutPrefix}*`)]
  return { version: '2.0', statement: [{ effect: 'allow', action: ['name/cos:GetObject'], resource }] }
}

/** Resources as CAM names them (product/460/41741): COS by bucket and key, Cloud Infinite with `bucket/` in front. */
export function resources(bucket: string, { region }: Config) {
  const owner = `${region}:uid/${bucket.replace(/^.*-/, '')}`
  return {
    cos: (path: string) => `qcs::cos:${owner}:${bucket}/${path}`,
    ci: (path: string) => `qcs::ci:${owner}:bucket/${bucket}/${path}`,
  }
}
