// A page asks this server for leave to put a photo, and puts it into the bucket itself: with what is returned, or, where that
// is undefined (its cutouts are there already, or not to be paid for), as photos were put before.
//   const { url, headers } = await (await fetch('/leave', { method: 'POST', body: JSON.stringify(…) })).json()
//   await fetch(url, { method: 'PUT', headers, body: file })
import { randomUUID } from 'node:crypto'
import { readConfig, readCredentials } from '../../lib/config.ts'
import { MattingError } from '../../lib/errors.ts'
import { createInvocation } from '../../lib/invocation.ts'
import { type PresignedUpload, presignUpload } from '../../lib/pay/pay.ts'

/**
 * `env` holds the functions' variables, and credentials that may do what the functions may (TENCENTCLOUD_SECRETID, …KEY).
 * `signer` is a key that may do what `uploadPolicy` says, and no more. `md5` is in hex, `size` in bytes.
 */
export async function leaveToPut(
  env: Record<string, string | undefined>,
  signer: { secretId: string; secretKey: string },
  photo: { key: string; md5: string; type: string; size: number },
  presets = ['plain'],
): Promise<PresignedUpload | undefined> {
  const config = readConfig(env)
  const time = { deadline: Date.now() + 10_000, now: Date.now, random: Math.random, uuid: randomUUID }
  const invocation = createInvocation(config, { credentials: readCredentials(env), ...time })
  const layouts = presets.map((name) => {
    const preset = config.presets.get(name)
    if (!preset) throw new MattingError('bad-layout')
    return preset.layout
  })
  return presignUpload(invocation, photo, layouts, signer)
}
