import { fileURLToPath } from 'node:url'
import COS from 'cos-nodejs-sdk-v5'
import { build } from 'esbuild'
import type * as Sign from '../../lib/sign.ts'

const TURNS = 5
const ROUNDS = 9
const CALLS = 5_000

/** Compares signing, and a whole presigned URL, with `getObjectUrl` of the vendor's SDK: in one process, in turns. */
export async function benchSign(): Promise<void> {
  const { presign, sign, signingKey } = await bundled()
  const host = 'photos-1250000000.cos.ap-guangzhou.myqcloud.com'
  const credentials = { secretId: 'local-id', secretKey: 'local-secret' }
  const cos = new COS({ SecretId: credentials.secretId, SecretKey: credentials.secretKey })
  const key = signingKey(credentials, 1_700_000_000, 1_700_000_900)
  const path = (i: number) => `cutouts/uploads/mug-${i}.jpg/0123456789abcdef-plain.png`
  const request = (i: number) => ({ method: 'GET', pathname: `/${path(i)}`, headers: { host } })
  const asked = { Bucket: 'photos-1250000000', Region: 'ap-guangzhou', Sign: true, Protocol: 'https:' } as const
  const theirs: number[] = []
  const signed: number[] = []
  const presigned: number[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    theirs.push(...time((i) => cos.getObjectUrl({ ...asked, Key: path(i) })))
    signed.push(...time((i) => sign(request(i), key)))
    presigned.push(...time((i) => presign(`https://${host}`, request(i), key)))
  }
  const sdk = median(theirs)
  console.log(`getObjectUrl    ${sdk.toFixed(2)} µs (the SDK)`)
  for (const [name, times] of [['sign', signed] as const, ['presigned URL', presigned] as const]) {
    const here = median(times)
    console.log(`${name.padEnd(15)} ${here.toFixed(2)} µs: ${(sdk / here).toFixed(1)} times as fast`)
  }
}

/** Loads lib/sign as it is deployed, because tsx would add a call to every function. */
async function bundled(): Promise<typeof Sign> {
  const entry = fileURLToPath(new URL('../../lib/sign.ts', import.meta.url))
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    write: false,
  })
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? '').toString('base64')}`)
}

/**
 * Microseconds per call, for each of several rounds. The first round is left out: it collects the garbage of what ran before.
 */
function time(call: (i: number) => unknown): number[] {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = performance.now()
    for (let i = 0; i < CALLS; i++) call(i)
    return ((performance.now() - start) / CALLS) * 1000
  })
  return rounds.slice(1)
}

export function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
