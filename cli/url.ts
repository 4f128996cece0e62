import { type Account, fields, json, text } from './api.ts'
import { scf } from './function.ts'
import type { Stage } from './stage.ts'
import type { Step } from './step.ts'
import { listTriggers, QUALIFIER } from './triggers.ts'

/** The function URL as serverless.yml has it. */
export async function* functionUrl(account: Account, { url, functions }: Stage): Step {
  const desc = { AuthType: url?.auth, NetConfig: { EnableIntranet: false, EnableExtranet: true } }
  for (const { name } of functions) {
    const there = (await listTriggers(account, name)).filter(({ Type }) => Type === 'http')
    const wanted = url?.function === name ? url.name : undefined
    for (const { TriggerName, Qualifier } of there.filter(({ TriggerName }) => TriggerName !== wanted)) {
      const params = { FunctionName: name, TriggerName, Type: 'http', Qualifier }
      yield { say: `remove the URL ${text(TriggerName)} of ${name}`, call: scf('DeleteTrigger', params) }
    }
    if (!wanted) continue
    const own = there.find(({ TriggerName }) => TriggerName === wanted)
    const params = { FunctionName: name, TriggerName: wanted, Type: 'http', TriggerDesc: JSON.stringify(desc) }
    const set = { ...params, Qualifier: QUALIFIER, Enable: 'OPEN' }
    if (!own) {
      yield { say: `give ${name} a URL`, call: scf('CreateTrigger', set) }
      continue
    }
    const { AuthType, NetConfig } = json(own.TriggerDesc)
    if (own.Enable !== 1 || AuthType !== url?.auth || fields(NetConfig).EnableExtranet !== true)
      yield { say: `open the URL of ${name}`, call: scf('UpdateTrigger', set) }
  }
}

/** Where the image function answers; undefined as long as it has no URL. */
export async function findUrl(account: Account, { url }: Stage): Promise<string | undefined> {
  if (!url) return undefined
  const own = (await listTriggers(account, url.function)).find(({ TriggerName }) => TriggerName === url.name)
  const { NetConfig } = json(own?.TriggerDesc)
  return text(fields(NetConfig).ExtranetUrl) || undefined
}
