// The package's second door: a local cloud for your own tests.
import type { Cloud, CloudOptions } from './local/cloud.ts'

export type { Cloud, CloudOptions }

/** Starts the local cloud with the functions of this package. @throws Error in one line, if what it needs is not installed */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const missing: string[] = []
  for (const name of ['sharp', 'yaml']) await import(name).catch(() => missing.push(name))
  if (missing.length > 0)
    throw new Error(`The local cloud needs ${missing.join(' and ')}: npm install --save-dev ${missing.join(' ')}`)
  const { startCloud } = await import('./local/cloud.ts')
  return startCloud(options)
}
