import { fileURLToPath } from 'node:url'
import COS from 'cos-nodejs-sdk-v5'
import { build } from 'esbuild'
import type * as Sign from '../../lib/sign.ts'

const ROUNDS = 15
const CALLS = 20_000

/** A presigned URL of ours against `getObjectUrl` of the vendor's SDK, in the same process, alternating. */
export async function benchSign(): Promise<void> {
  const { presign, signingKey } = await bundled()
  const host = 'photos-1250000000.cos.ap-guangzhou.myqcloud.com'
  const credentials = { secretId: 'local-id', secretKey: 'local-secret' }
  const cos = new COS({ SecretId: credentials.secretId, SecretKey: credentials.secretKey })
  const key = signingKey(credentials, 1_700_000_000, 1_700_000_900)
  const path = (i: number) => `cutouts/uploads/mug-${i}.jpg/0123456789abcdef-plain.png`
  const theirs: number[] = []
  const ours: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    theirs.push(
      time((i) =>
        cos.getObjectUrl({
          Bucket: 'photos-1250000000',
          Region: 'ap-guangzhou',
          Key: path(i),
          Sign: true,
          Protocol: 'https:',
        }),
      ),
    )
    ours.push(
      time((i) => presign(`https://${host}`, { method: 'GET', pathname: `/${path(i)}`, headers: { host } }, key)),
    )
  }
  const [a, b] = [median(theirs), median(ours)]
  console.log(`presigned URL   SDK ${a.toFixed(2)} µs, here ${b.toFixed(2)} µs: ${(a / b).toFixed(1)} times as fast`)
}

/** As it is deployed: tsx would add a call to every function. */
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

/** Microseconds a call. */
function time(call: (i: number) => unknown): number {
  const start = performance.now()
  for (let i = 0; i < CALLS; i++) call(i)
  return ((performance.now() - start) / CALLS) * 1000
}

export function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
