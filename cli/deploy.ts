import type { Account } from './api.ts'
import { bucket, checkVersioning } from './bucket.ts'
import { type Code, functions, removeFunctions } from './function.ts'
import { logTopic } from './logs.ts'
import { removeRole, role } from './role.ts'
import { smoke } from './smoke.ts'
import type { Stage } from './stage.ts'
import { createRun, type Report } from './step.ts'
import { checkForeign, removeTriggers, triggers } from './triggers.ts'
import { findUrl, functionUrl } from './url.ts'

export interface DeployOptions extends Report {
  smoke?: boolean
  /** Switch the bucket's strict signatures on. */
  strict?: boolean
}

/** Brings the account to what the stage should have, step by step. Returns how many changes there were, or would be. */
export async function deploy(account: Account, stage: Stage, code: Code, options: DeployOptions): Promise<number> {
  const { run, done, print } = createRun(account, stage.mask, options)
  await run('check', async () => {
    await checkVersioning(account, stage.config.cutoutBucket)
    await checkForeign(account, stage)
    return 'nothing is in the way'
  })
  await run('role', role(account, stage))
  await run('bucket', bucket(account, stage, options.strict ?? false))
  const logs = await run('logs', logTopic(account, stage))
  await run('functions', functions(account, stage, code, logs))
  await run('triggers', triggers(account, stage))
  await run('url', functionUrl(account, stage))
  if (options.only) return done.changes
  if (options.smoke ?? true) await run('smoke test', () => smoke(account, stage))
  const origin = await findUrl(account, stage)
  if (origin) {
    print('')
    print(`Image URLs: ${origin}/<layout>/${stage.config.sourcePrefixes[0]}…`)
  }
  return done.changes
}

/** Takes away what `deploy` made, but photos, cutouts, records, logs and what is switched on for the bucket. */
export async function undeploy(account: Account, stage: Stage, options: Report): Promise<number> {
  const { run, done } = createRun(account, stage.mask, options)
  await run('triggers', removeTriggers(account, stage))
  await run('functions', removeFunctions(account, stage))
  await run('role', removeRole(account, stage))
  return done.changes
}
