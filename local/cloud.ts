import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { readConfig } from '../lib/config.ts'
import { MattingError } from '../lib/errors.ts'
import { deliveryPolicy, rolePolicy, uploadPolicy } from '../lib/policy.ts'
import { type Clock, createClock } from './clock.ts'
import { createControl } from './control.ts'
import { type Cos, type Key, startCos } from './cos/cos.ts'
import { type Policy, parsePolicy } from './cos/policy.ts'
import { createFaults, type Faults } from './faults.ts'
import { createMatte, type Matte } from './matte/matte.ts'
import { type Scf, startScf } from './scf/scf.ts'
import { type FunctionSpec, readServerless } from './scf/serverless.ts'
import type { Way } from './scf/variables.ts'

export const BUCKET = 'photos-1250000000'
export const REGION = 'ap-guangzhou'
/** The key that signs the URLs of pictures: it may only read. */
const DELIVERY = { secretId: 'local-delivery', secretKey: 'local-secret' }
/** The key that signs the uploads of browsers: it may only put photos and have them cut out. */
export const UPLOAD = { secretId: 'local-upload', secretKey: 'local-secret' }
export const CREDENTIALS = { secretId: 'local-id', secretKey: 'local-secret' }

export interface CloudOptions {
  /** The port of COS. The function URL and the control API take the next two; 0 chooses free ports. */
  port: number
  /** The folder of everything that survives a restart. */
  data: string
  /** Pause before an event is delivered again, in milliseconds; default one second, SCF waits one minute. */
  retryDelay?: number
  /** The most instances of a function at a time; default four. */
  instances?: number
  /** Threads of the matting engine; default at most two. */
  workers?: number
  /** An engine to use instead of a new one; close() leaves it running. */
  matte?: Matte
  /** Time limit of all functions, in seconds; default as in serverless.yml. */
  timeout?: number
  /** Whether Last-Modified is the time when an upload ended or started, which is not documented; default end. */
  lastModified?: 'end' | 'start'
  /** Whether events hold keys percent-encoded, and function-URL events paths decoded; neither is documented. */
  eventKeys?: 'encoded' | 'raw'
  paths?: 'raw' | 'decoded'
  /** How functions receive their variables. */
  variables?: Way
  /** Host names that lead to ports of this machine, for the functions and for detect-url. */
  hosts?: ReadonlyMap<string, number>
  /** Origins of web pages that may use COS and the function URL, such as `http://localhost:8080`. */
  origins?: readonly string[]
  /** Variables of all functions; they override those of serverless.yml. */
  environment?: Record<string, string>
  serverless?: URL
  clock?: Clock
}

export interface Cloud {
  cosUrl: string
  imageUrl: string
  controlUrl: string
  cos: Cos
  scf: Scf
  faults: Faults
  /** The time of COS, of SCF and of every instance. The time limits of functions stay in real time. */
  clock: Clock
  /** What is wrong with the functions' variables; undefined if nothing is. The functions report it as well when they run. */
  misconfigured: string | undefined
  /**
   * Removes objects, events, bill, records and faults, and ends all instances, except for idle ones of the functions that are
   * to stay warm.
   */
  reset(warm?: readonly string[]): Promise<void>
  close(): Promise<void>
}

const ROOT = new URL('../', import.meta.url)

/** Starts the local cloud with the functions of serverless.yml, as built into dist/. */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { port, data } = options
  const serverless = await readServerless(options.serverless ?? new URL('serverless.yml', ROOT), { COS_BUCKET: BUCKET })
  await mkdir(data, { recursive: true })
  const faults = createFaults()
  const clock = options.clock ?? createClock()
  const keys = new Map<string, Key>([[CREDENTIALS.secretId, { secret: CREDENTIALS.secretKey }]])
  const policies = new Map<string, Policy>()
  const hosts = new Map(options.hosts)
  const pages = { ports: new Set<number>(), origins: options.origins ?? [] }
  const cutoutBuckets = [options.environment, ...serverless.functions.map(({ environment }) => environment)]
    .map((environment) => environment?.CUTOUT_BUCKET)
    .filter((name) => name !== undefined)
  const matte = options.matte ?? createMatte(options.workers === undefined ? {} : { workers: options.workers })
  let misconfigured: string | undefined
  const opened: { close: () => unknown }[] = options.matte ? [] : [matte]
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
      now: clock.now,
      hosts,
      pages,
      otherBuckets: cutoutBuckets,
      lastModified: options.lastModified ?? 'end',
      cut: (photo, layouts) => matte.cut(photo, layouts),
      onEvent: async (event) => (await started).onEvent(event),
      onKill: async (secretId) => (await started).kill(secretId),
    })
    opened.unshift(cos)
    const cosUrl = `http://127.0.0.1:${cos.port}`
    for (const name of cutoutBuckets) hosts.set(`${name}.localhost`, cos.port)
    for (const spec of serverless.functions) {
      spec.timeout = options.timeout ?? spec.timeout
      // On this machine no paid call costs money, so every layout may be tried, unless serverless.yml says otherwise.
      const defaults = { ACCESS: 'open', DELIVERY_KEY: `${DELIVERY.secretId}:${DELIVERY.secretKey}` }
      const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cosUrl }
      spec.environment = { ...defaults, ...spec.environment, ...place, ...options.environment }
      const { CUTOUT_BUCKET: other } = spec.environment
      if (other) spec.environment.CUTOUT_ENDPOINT = `http://${other}.localhost:${cos.port}`
      misconfigured = grant(spec, keys, policies) ?? misconfigured
    }
    const scf = await startScf({
      serverless,
      dist: new URL('dist/', ROOT),
      dir: join(data, 'events'),
      port: port && port + 1,
      keys,
      policies,
      hosts,
      faults,
      clock,
      pages,
      instances: options.instances ?? 4,
      retryDelay: options.retryDelay ?? 1_000,
      eventKeys: options.eventKeys ?? 'encoded',
      paths: options.paths ?? 'raw',
      variables: options.variables ?? 'process',
    })
    opened.unshift(scf)
    tell(scf)
    const reset = async (warm?: readonly string[]) => {
      faults.set([])
      await scf.reset(warm)
      await cos.reset()
    }
    const control = createControl({ cos, scf, faults, clock, reset })
    control.listen(port && port + 2, '127.0.0.1')
    await once(control, 'listening')
    const { port: controlPort } = control.address() as AddressInfo
    pages.ports.add(controlPort)
    opened.unshift({ close: () => control.close().closeAllConnections() })
    return {
      cosUrl,
      imageUrl: `http://127.0.0.1:${scf.port}`,
      controlUrl: `http://127.0.0.1:${controlPort}`,
      cos,
      scf,
      faults,
      clock,
      misconfigured,
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

/**
 * Lets the keys of a function do what its policies allow. A function whose configuration is wrong may do nothing.
 * @returns what is wrong; undefined if nothing is
 */
function grant(
  { name, environment }: FunctionSpec,
  keys: Map<string, Key>,
  policies: Map<string, Policy>,
): string | undefined {
  policies.set(name, parsePolicy({ version: '2.0', statement: [] }))
  try {
    const config = readConfig(environment)
    policies.set(name, parsePolicy(rolePolicy(config)))
    keys.set(DELIVERY.secretId, { secret: DELIVERY.secretKey, policy: parsePolicy(deliveryPolicy(config)) })
    keys.set(UPLOAD.secretId, { secret: UPLOAD.secretKey, policy: parsePolicy(uploadPolicy(config)) })
  } catch (error) {
    if (!(error instanceof MattingError)) throw error
    return error.message
  }
  return undefined
}
