import { randomUUID } from 'node:crypto'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import { type Config, readConfig, readCredentials } from '../../lib/config.ts'
import { createCos } from '../../lib/cos.ts'
import { type Code, MattingError } from '../../lib/errors.ts'
import { errorFields, type Fields, log } from '../../lib/log.ts'
import { readEvent } from './event.ts'
import { type Outcome, upload } from './upload.ts'

/** Cache: the environment of an instance does not change, but for the credentials. */
let config: Config | undefined

/** Time kept for the last log line and for the platform, in milliseconds. */
const MARGIN = 1_000

/** Failures of the photo itself: no retry and no operator can mend them. */
const FINAL = new Set<Code>(['not-an-image', 'too-large', 'no-product', 'not-found'])

/** Not paid for now, by order; the dead letter can be replayed. */
const DEFERRED = new Set<Code>(['limit-reached', 'changing-too-fast'])

/**
 * The trigger function's entry. Throws what a retry or an operator can mend: the platform delivers the event again, and keeps it
 * as a dead letter in the end.
 */
export const main_handler = middy({
  timeoutEarlyInMillis: MARGIN / 2,
  timeoutEarlyResponse: () => {
    throw new MattingError('timeout')
  },
})
  .handler(async (event: unknown, context: Context) => {
    const now = Date.now
    config ??= readConfig(process.env)
    const deadline = now() + (context.getRemainingTimeInMillis?.() ?? 60_000) - MARGIN
    const random = Math.random
    const cos = createCos({ ...config, credentials: readCredentials(process.env), deadline, now, random })
    let thrown: MattingError | undefined
    const parts = { config, cos, now, random, uuid: randomUUID, deadline, spent: new Map() }
    for await (const outcome of upload(readEvent(event), parts)) {
      log({ function: 'upload', ...describe(outcome) })
      if (outcome.outcome === 'failed' && !FINAL.has(outcome.error.code)) thrown = outcome.error
    }
    if (thrown) throw thrown
    return 'done'
  })
  .onError((request) => {
    const error = MattingError.from(request.error)
    log({ function: 'upload', outcome: 'thrown', ...errorFields(error) })
  })

function describe(outcome: Outcome): Fields {
  const { key, ms } = outcome
  switch (outcome.outcome) {
    case 'cut': {
      const paid = outcome.cutouts.filter(({ by }) => by === 'made').length
      return { key, outcome: 'cut', cutouts: outcome.cutouts.map((cutout) => cutout.key), paid, ms }
    }
    case 'skipped':
      return { key, outcome: 'skipped', why: outcome.why, ms }
    case 'failed':
      return {
        key,
        outcome: DEFERRED.has(outcome.error.code) ? 'deferred' : 'failed',
        ...errorFields(outcome.error),
        ms,
      }
  }
}
