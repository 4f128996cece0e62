import type { Config } from './config.ts'
import { type Cos, createCos } from './cos.ts'
import type { Credentials } from './sign.ts'

/** Where time goes, for Server-Timing: looking for photos and cutouts, claiming, paying, waiting for another payer's cutout. */
export type Stage = 'look' | 'claim' | 'pay' | 'wait'

/** What an invocation has spent: milliseconds by stage, and the paid calls that it made or may have made. */
export interface Spent {
  ms: Map<Stage, number>
  calls: number
}

/** What one invocation of a function works with. */
export interface Invocation {
  config: Config
  /** The bucket of the photos. */
  cos: Cos
  /** The bucket of cutouts, claims and all other records; often the same bucket. */
  store: Cos
  now: () => number
  random: () => number
  uuid: () => string
  /** Milliseconds since the epoch, by this instance's clock. Nothing is waited for after it. */
  deadline: number
  spent: Spent
  /** For whoever makes many paid calls in one process: spares the list of the day's receipts that each would begin with. */
  dayCount?: DayCount
  /** So many more calls may be paid, and not one more; no limit if it is not set. Of this invocation alone. */
  allowance?: { left: number }
}

/** Cache of how many calls were paid today, shared by the invocations of one process (lib/pay/limit.ts). */
export interface DayCount {
  /** `yyyy-mm-dd`, UTC. */
  day: string
  /** When the receipts were listed; milliseconds since the epoch, by this process's clock. */
  at: number
  /** How many calls DAILY_LIMIT left then, and how many of them were taken since. */
  left: number
  taken: number
  /** Taken, but their receipts are not written yet, so no list shows them; and how many it were when the last list began. */
  unlisted: number
  carried: number
  /** The list under way. */
  listing?: Promise<void> | undefined
}

/** What comes from outside: credentials, deadline, time and randomness. */
export interface InvocationOptions extends Pick<Invocation, 'now' | 'random' | 'uuid' | 'deadline'> {
  /** They rotate, so they must be those of this invocation. */
  credentials: Credentials
}

/** Builds an invocation from a configuration, with both clients and nothing spent. For the functions, and for your own code. */
export function createInvocation(config: Config, options: InvocationOptions): Invocation {
  const { credentials, now, random, uuid, deadline } = options
  const { endpoint, cutoutEndpoint } = config
  const network = { credentials, deadline, now, random }
  const cos = createCos({ endpoint, ...network })
  const store = cutoutEndpoint === endpoint ? cos : createCos({ endpoint: cutoutEndpoint, ...network })
  return { config, cos, store, now, random, uuid, deadline, spent: { ms: new Map(), calls: 0 } }
}

export function createDayCount(): DayCount {
  return { day: '', at: 0, left: 0, taken: 0, unlisted: 0, carried: 0 }
}

/** Adds the time that `work` takes to the time of its stage. */
export async function timed<T>({ now, spent }: Invocation, stage: Stage, work: Promise<T>): Promise<T> {
  const start = now()
  try {
    return await work
  } finally {
    spent.ms.set(stage, (spent.ms.get(stage) ?? 0) + now() - start)
  }
}
