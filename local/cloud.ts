import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createControl } from './control.ts'
import { type Cos, type Key, startCos } from './cos/cos.ts'
import { createFaults, type Faults } from './faults.ts'
import { createMatte } from './matte/matte.ts'
import { type Scf, startScf } from './scf/scf.ts'
import { readServerless } from './scf/serverless.ts'

export const BUCKET = 'photos-1250000000'
export const REGION = 'ap-guangzhou'
export const CREDENTIALS = { secretId: 'local-id', secretKey: 'local-secret' }

export interface CloudOptions {
  /** COS; the function URL and the control API take the next two. 0: free ports. */
  port: number
  /** Folder for everything that lasts. */
  data: string
  /** Pause before an event is delivered again, in milliseconds; SCF: one minute. */
  retryDelay?: number
  /** Most instances of a function at a time. */
  instances?: number
  /** Threads of the matting engine; default two. */
  workers?: number
  /** Time limit of all functions, in seconds; default: serverless.yml's. */
  timeout?: number
  /** How keys stand in events, and paths in function-URL events: neither is documented. */
  eventKeys?: 'encoded' | 'raw'
  paths?: 'raw' | 'decoded'
  /** Set over what serverless.yml says. */
  environment?: Record<string, string>
  serverless?: URL
}

export interface Cloud {
  cosUrl: string
  imageUrl: string
  controlUrl: string
  cos: Cos
  scf: Scf
  faults: Faults
  /** Everything gone: objects, events, bill, records. */
  reset(): Promise<void>
  close(): Promise<void>
}

const ROOT = new URL('../', import.meta.url)

/** Starts the local cloud with the functions of serverless.yml, as built into dist/. */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { port, data } = options
  const serverless = await readServerless(options.serverless ?? new URL('serverless.yml', ROOT), { COS_BUCKET: BUCKET })
  for (const spec of serverless.functions) {
    spec.timeout = options.timeout ?? spec.timeout
    // On one's own machine nobody else can spend, so every layout is open to be tried, unless serverless.yml says otherwise.
    spec.environment = { ACCESS: 'open', ...spec.environment }
  }
  await mkdir(data, { recursive: true })
  const faults = createFaults()
  const keys = new Map<string, Key>([[CREDENTIALS.secretId, { secret: CREDENTIALS.secretKey }]])
  const matte = createMatte(options.workers === undefined ? {} : { workers: options.workers })
  const opened: { close: () => unknown }[] = [matte]
  try {
    let tell: (scf: Scf) => void = () => {}
    const started = new Promise<Scf>((resolve) => {
      tell = resolve
    })
    const cos = await startCos({
      dir: join(data, 'cos'),
      port,
      bucket: BUCKET,
      region: REGION,
      keys,
      faults,
      cut: (photo, layouts) => matte.cut(photo, layouts),
      onEvent: async (event) => (await started).onEvent(event),
      onKill: async (secretId) => (await started).kill(secretId),
    })
    opened.unshift(cos)
    const cosUrl = `http://127.0.0.1:${cos.port}`
    const scf = await startScf({
      serverless,
      dist: new URL('dist/', ROOT),
      dir: join(data, 'events'),
      port: port && port + 1,
      environment: { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cosUrl, ...options.environment },
      keys,
      faults,
      instances: options.instances ?? 4,
      retryDelay: options.retryDelay ?? 1_000,
      eventKeys: options.eventKeys ?? 'encoded',
      paths: options.paths ?? 'raw',
    })
    opened.unshift(scf)
    tell(scf)
    const reset = async () => {
      faults.set([])
      await scf.reset()
      await cos.reset()
    }
    const control = createControl({ cos, scf, faults, reset })
    control.listen(port && port + 2, '127.0.0.1')
    await once(control, 'listening')
    opened.unshift({ close: () => control.close().closeAllConnections() })
    return {
      cosUrl,
      imageUrl: `http://127.0.0.1:${scf.port}`,
      controlUrl: `http://127.0.0.1:${(control.address() as AddressInfo).port}`,
      cos,
      scf,
      faults,
      reset,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }

  async function close(): Promise<void> {
    for (const part of opened.splice(0)) await part.close()
  }
}
