import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { ask } from '../cli/api.ts'
import { undeploy } from '../cli/deploy.ts'
import { type Apply, apply } from '../cli/step.ts'
import { photo } from './helpers/cloud.ts'
import { clear, type Deployment, dying, Killed, startEmpty } from './helpers/deploy.ts'

let d: Deployment
beforeAll(async () => {
  d = await startEmpty()
})
afterAll(() => d.cloud.close())
beforeEach(() => clear(d))

describe('a change of folders that was killed while none of them had a trigger', () => {
  /** Kills a deployment when the old trigger is gone and the new one not there yet; then a photo comes. */
  async function killed() {
    await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/shoes/' }))
    const next = await d.stage({ SOURCE_PREFIXES: 'uploads/' })
    const make: Apply = (change) =>
      /no longer goes/.test(change.say) ? dying(d.account, new Set(), [])(change) : apply(d.account, change)
    await expect(d.deploy(next, { make })).rejects.toThrow(Killed)
    await d.cloud.bucket.put('uploads/shoes/a.jpg', await photo(), { type: 'image/jpeg' })
  }

  it('loses no photo if CUTOUT_BUCKET is another one when it is run again', async () => {
    await killed()
    const CUTOUT_BUCKET = 'cutouts-1250000000'
    await ask(d.account, { bucket: CUTOUT_BUCKET, door: 'cos', method: 'PUT', key: '' })
    const printed = await d.deploy(await d.stage({ SOURCE_PREFIXES: 'uploads/', CUTOUT_BUCKET }))
    expect(printed[5]).toContain('hand over what was uploaded meanwhile')
  })

  it('and undeployed, hands over nothing when it is deployed again: it would pay for all that came since', async () => {
    await killed()
    const stage = await d.stage({ SOURCE_PREFIXES: 'uploads/' })
    await undeploy(d.account, stage, { print: () => {} })
    expect((await d.deploy(stage))[5]).not.toContain('hand over')
  })
})

describe('the API', () => {
  it('that does not know the key is not taken to have nothing', async () => {
    const stage = await d.stage()
    await d.deploy(stage)
    const account = { ...d.account, credentials: { secretId: 'nobody', secretKey: 'local-secret' } }
    const printed: string[] = []
    const undeployed = undeploy(account, stage, { print: (line) => printed.push(line) })
    await expect(undeployed).rejects.toThrow(/✗ triggers .*SecretIdNotFound.*Your keys are wrong/)
    expect(printed).toEqual([])
  })

  it.each([
    ['AuthFailure.SignatureExpire', 'clock'],
    ['RequestLimitExceeded.UinLimitExceeded', 'Run the command again'],
    ['InternalError.System', 'Run the command again'],
  ])('that answers %s is told with what to do', async (code, advice) => {
    d.cloud.faults.set([{ kind: 'error', on: 'GetRole', code }])
    onTestFinished(() => d.cloud.faults.set([]))
    await expect(d.deploy(await d.stage())).rejects.toThrow(advice)
  })

  it('whose answer is lost is told with what to do, and what was done is not done twice', async () => {
    const stage = await d.stage()
    onTestFinished(() => d.cloud.faults.set([]))
    for (const on of ['CreateRole', 'CreatePolicy', 'CreateFunction', 'CreateTrigger']) {
      d.cloud.faults.set([{ kind: 'lose-answer', on }])
      await expect(d.deploy(stage)).rejects.toThrow(new RegExp(`${on}: .*Run the command again`))
      d.cloud.faults.set([])
    }
    const done = (await d.deploy(stage)).join()
    for (const once of ['create the role', 'create its policy', 'create matting-', ' goes to '])
      expect(done).not.toContain(once)
    const printed = await d.deploy(stage)
    expect(printed.slice(1, 7).every((line) => line.endsWith('nothing to do'))).toBe(true)
  })
})
