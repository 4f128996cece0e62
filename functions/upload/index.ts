import { randomUUID } from 'node:crypto'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import { createSettings, type Settings } from '../../lib/environment.ts'
import { isFinal, MattingError } from '../../lib/errors.ts'
import { createInvocation } from '../../lib/invocation.ts'
import { errorFields, type Fields, log } from '../../lib/log.ts'
import { isSelfTest, selfTest } from '../../lib/selftest.ts'
import { createTell } from '../../lib/tell.ts'
import { readEvent } from './event.ts'
import { type Outcome, upload } from './upload.ts'

const settings = createSettings(process.env)

/** Time kept for the last log line and for the platform, in milliseconds. */
const MARGIN = 1_000

/**
 * The trigger function's entry. Throws errors that a retry or an operator can mend: the platform then delivers the event again,
 * and at last keeps it as a dead letter.
 */
export const main_handler = middy({
  // Later than the deadline below, which tells what there was no time for. This ends only what does not heed it.
  timeoutEarlyInMillis: MARGIN / 2,
  timeoutEarlyResponse: () => {
    throw new MattingError('timeout')
  },
})
  .handler(async (event: unknown, context: Context) => {
    const now = Date.now
    const deadline = now() + (context.getRemainingTimeInMillis?.() ?? 60_000) - MARGIN
    const time = { now, random: Math.random, uuid: randomUUID, deadline }
    const open = ({ config, credentials }: Settings) => createInvocation(config, { credentials, ...time })
    if (isSelfTest(event)) return selfTest(() => settings(context), open)
    const basis = open(settings(context))
    let thrown: MattingError | undefined
    const warn = (fields: Fields) => log({ function: 'upload', ...fields })
    const invocation = { ...basis, announce: createTell(basis), warn }
    for await (const outcome of upload(readEvent(event), invocation)) {
      log({ function: 'upload', ...describe(outcome) })
      if (outcome.outcome === 'failed' && !isFinal(outcome.error)) thrown = outcome.error
    }
    // Only one can be thrown. The others are in the log, and the event is delivered again for all of them.
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
      const paid = outcome.cutouts.filter(({ obtained }) => obtained === 'made').length
      return { key, outcome: 'cut', cutouts: outcome.cutouts.map((cutout) => cutout.key), paid, ms }
    }
    case 'removed':
      return { key, outcome: 'removed', cutouts: outcome.cutouts, ms }
    case 'skipped':
      return { key, outcome: 'skipped', why: outcome.why, ms }
    case 'failed':
      return {
        key,
        outcome: outcome.error.about === 'order' ? 'deferred' : 'failed',
        ...errorFields(outcome.error),
        ms,
      }
  }
}
