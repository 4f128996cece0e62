import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Api, startApi } from './api/api.ts'
import { type Clock, createClock } from './clock.ts'
import { createControl } from './control.ts'
import { type Cos, type Key, startCos } from './cos/cos.ts'
import type { Policy } from './cos/policy.ts'
import { createCutting } from './cutting.ts'
import { createFaults, type Faults } from './faults.ts'
import { DELIVERY, grant, grantKeys, tryConfig } from './grant.ts'
import type { Pages } from './guard.ts'
import { createMatte, type Matte, type Model } from './matte/matte.ts'
import type { Receiver } from './receiver.ts'
import { type Scf, startScf } from './scf/scf.ts'
import { type FunctionSpec, readServerless, type Serverless } from './scf/serverless.ts'
import type { Way } from './scf/variables.ts'

export { UPLOAD } from './grant.ts'

export const BUCKET = 'photos-1250000000'
export const REGION = 'ap-guangzhou'
export const CREDENTIALS = { secretId: 'local-id', secretKey: 'local-secret' }

/** Set unless other values are given. */
const LOCAL = { SOURCE_PREFIXES: 'uploads/', PRESETS: 'card: center-layout 1, padding-layout 20x10' }

export interface CloudOptions {
  /** The port of COS. The function URL and the control API take the next two, the management API `port` + 4; 0 chooses free ports. */
  port: number
  /** The folder of everything that survives a restart. */
  data: string
  /** Pause before an event is delivered again, in milliseconds; default one second, SCF waits one minute. */
  retryDelay?: number
  /** The most instances of a function at a time; default four. */
  instances?: number
  /** Threads of the matting engine; default at most two, and one with a network. */
  workers?: number
  /** A network that cuts out in place of the own engine: --model. */
  model?: Model
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
  /** An account without functions instead of serverless.yml's: they are deployed through the management API. */
  empty?: boolean
  /** Of the management API: how many looks at a function its states last, and the runtimes it may have. */
  polls?: number
  runtimes?: readonly string[]
  /** Variables of all functions; they override those of serverless.yml. */
  environment?: Record<string, string>
  serverless?: URL
  clock?: Clock
  /** Receives the functions' events, so that the page can show them. */
  receiver?: Receiver
}

export interface Cloud {
  cosUrl: string
  imageUrl: string
  controlUrl: string
  /** Of the management API. */
  apiUrl: string
  cos: Cos
  scf: Scf
  faults: Faults
  /** Which engine cuts: `own`, or the name of a network and what runs it. */
  engine: string
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
const NOTHING: Serverless = { functions: [], cosTriggers: [], urls: [] }

/** Starts the local cloud with the functions of serverless.yml, as built into dist/. */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { port, data, receiver } = options
  // Neither the shell's variables nor .env: what runs here is the same on every machine.
  const variables = { ...LOCAL, ...options.environment, COS_BUCKET: BUCKET, COS_REGION: REGION }
  const file = options.serverless ?? new URL('serverless.yml', ROOT)
  const serverless = options.empty ? NOTHING : await readServerless(file, variables)
  await mkdir(data, { recursive: true })
  const faults = createFaults()
  const clock = options.clock ?? createClock()
  const keys = new Map<string, Key>([[CREDENTIALS.secretId, { secret: CREDENTIALS.secretKey }]])
  const policies = new Map<string, Policy>()
  const hosts = new Map(options.hosts)
  const pages: Pages = { ports: new Set(), origins: options.origins ?? [] }
  const cutoutBuckets = [options.environment, ...serverless.functions.map(({ environment }) => environment)]
    .map((environment) => environment?.CUTOUT_BUCKET)
    .filter((name) => name !== undefined)
  const matte = options.matte ?? createMatte(options)
  let misconfigured: string | undefined
  const opened: { close: () => unknown }[] = options.matte ? [] : [matte]
  let deployed = () => {}
  const ready = new Promise<void>((resolve) => {
    deployed = resolve
  })
  try {
    // What is wrong with a network is said before anything listens, and not by the first photo.
    const engine = await matte.engine()
    const cutting = createCutting(matte, clock)
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
      cut: cutting.cut,
      onEvent: async (event) => (await started).onEvent(event),
      onKill: async (secretId) => (await started).kill(secretId),
    })
    opened.unshift(cos)
    const cosUrl = `http://127.0.0.1:${cos.port}`
    const reach = ({ environment }: FunctionSpec): Record<string, string> => {
      const { CUTOUT_BUCKET: other } = environment
      if (!other) return {}
      hosts.set(`${other}.localhost`, cos.port)
      return { CUTOUT_ENDPOINT: `http://${other}.localhost:${cos.port}` }
    }
    for (const spec of serverless.functions) {
      spec.timeout = options.timeout ?? spec.timeout
      // On this machine no paid call costs money, so every layout may be tried, unless serverless.yml says otherwise.
      const defaults = { ACCESS: 'open', DELIVERY_KEY: `${DELIVERY.secretId}:${DELIVERY.secretKey}` }
      const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cosUrl }
      spec.environment = { ...defaults, ...spec.environment, ...place, ...options.environment }
      Object.assign(spec.environment, reach(spec))
      misconfigured = grant(spec, keys, policies) ?? misconfigured
    }
    const scf = await startScf({
      serverless,
      ready,
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
    const imageUrl = `http://127.0.0.1:${scf.port}`
    const api: Api = await startApi({
      dir: join(data, 'api'),
      port: port && port + 4,
      region: REGION,
      keys,
      faults,
      now: clock.now,
      url: imageUrl,
      hasBucket: (name) => cos.hasBucket(name),
      ...(!options.empty && { functions: serverless.functions }),
      platform: {
        run: scf.run,
        push: scf.push,
        apply(all) {
          for (const spec of all.functions) {
            // What is deployed must reach this COS, not the vendor's; it may say so itself.
            spec.environment = { COS_ENDPOINT: cosUrl, ...reach(spec), ...spec.environment }
            const config = tryConfig(spec)
            if (typeof config !== 'string') grantKeys(config, keys)
          }
          scf.apply(all)
        },
      },
      ...(options.polls !== undefined && { polls: options.polls }),
      ...(options.runtimes && { runtimes: options.runtimes }),
    })
    opened.unshift(api)
    deployed()
    const onResets: (() => void)[] = []
    const reset = async (warm?: readonly string[]) => {
      faults.set([])
      await scf.reset(warm)
      await cos.reset()
      for (const done of onResets) done()
    }
    const environment = () => scf.serverless().functions[0]?.environment ?? {}
    const place = { cosUrl, imageUrl, bucket: BUCKET, region: REGION, credentials: CREDENTIALS, environment, engine }
    const onReset = (listener: () => void) => void onResets.push(listener)
    const control = createControl({ cos, scf, cutting, faults, clock, reset, onReset, receiver, ...place })
    await once(control.listen(port && port + 2, '127.0.0.1'), 'listening')
    const { port: controlPort } = control.address() as AddressInfo
    const controlUrl = `http://127.0.0.1:${controlPort}`
    pages.ports.add(controlPort)
    pages.own = controlUrl
    opened.unshift({ close: () => control.close().closeAllConnections() })
    return {
      cosUrl,
      imageUrl,
      apiUrl: `http://127.0.0.1:${api.port}`,
      controlUrl,
      cos,
      scf,
      faults,
      engine,
      clock,
      misconfigured,
      reset,
      close,
    }
  } catch (error) {
    deployed()
    await close()
    throw error
  }

  async function close(): Promise<void> {
    for (const part of opened.splice(0)) await part.close()
  }
}
