import { isDeepStrictEqual } from 'node:util'
import { MattingError } from '../lib/errors.ts'
import { rolePolicy } from '../lib/policy.ts'
import { type Account, call, type Fields, fields, find, json, list } from './api.ts'
import type { Stage } from './stage.ts'
import type { Step } from './step.ts'

/** Who may take the role: the functions. */
const TRUST = {
  version: '2.0',
  statement: [{ action: 'name/sts:AssumeRole', effect: 'allow', principal: { service: ['scf.qcloud.com'] } }],
}

/** With this role the platform itself writes a bucket's triggers (product/583/31444). */
const PLATFORM = 'SCF_QcsRole'

/** The role of the functions with the least policy, and nothing else attached by this command. */
export async function* role(account: Account, { role: name, config }: Stage): Step {
  if (!(await getRole(account, PLATFORM)))
    throw new MattingError(
      'denied',
      `The account has no role ${PLATFORM}: open the SCF console once, which asks to create it (product/583/31444).`,
    )
  const trust = JSON.stringify(TRUST)
  const there = await getRole(account, name)
  if (!there) {
    const params = { RoleName: name, PolicyDocument: trust, Description: 'cos-goods-matting' }
    yield { say: `create the role ${name}`, call: { service: 'cam', action: 'CreateRole', params } }
  } else if (!same(there.PolicyDocument, TRUST)) {
    const params = { RoleName: name, PolicyDocument: trust }
    yield { say: 'let SCF take it', call: { service: 'cam', action: 'UpdateAssumeRolePolicy', params } }
  }
  const wanted = rolePolicy(config)
  const document = JSON.stringify(wanted)
  const policy = await getPolicy(account, name)
  let { PolicyId } = fields(policy)
  if (!policy) {
    const params = { PolicyName: name, PolicyDocument: document, Description: 'cos-goods-matting' }
    const answer = yield { say: 'create its policy', call: { service: 'cam', action: 'CreatePolicy', params } }
    PolicyId = answer.PolicyId
  } else if (!same(policy.PolicyDocument, wanted)) {
    const params = { PolicyId, PolicyDocument: document }
    yield { say: 'bring its policy up to date', call: { service: 'cam', action: 'UpdatePolicy', params } }
  }
  if (!(await attached(account, name)).some((one) => one.PolicyName === name)) {
    const params = { PolicyId, AttachRoleName: name }
    yield { say: 'attach it', call: { service: 'cam', action: 'AttachRolePolicy', params } }
  }
}

/** Takes away what `role` made. */
export async function* removeRole(account: Account, { role: name }: Stage): Step {
  const { PolicyId } = fields(await getPolicy(account, name))
  if (PolicyId !== undefined && (await attached(account, name)).some((one) => one.PolicyName === name)) {
    const params = { PolicyId, DetachRoleName: name }
    yield { say: 'detach the policy', call: { service: 'cam', action: 'DetachRolePolicy', params } }
  }
  if (await getRole(account, name))
    yield { say: `delete the role ${name}`, call: { service: 'cam', action: 'DeleteRole', params: { RoleName: name } } }
  if (PolicyId !== undefined)
    yield {
      say: 'delete its policy',
      call: { service: 'cam', action: 'DeletePolicy', params: { PolicyId: [PolicyId] } },
    }
}

async function getRole(account: Account, name: string) {
  const answer = await find(account, { service: 'cam', action: 'GetRole', params: { RoleName: name } })
  return answer && fields(answer.RoleInfo)
}

/** The policy of this name of the account's own. */
async function getPolicy(account: Account, name: string): Promise<Fields | undefined> {
  const params = { Scope: 'Local', Keyword: name, Page: 1, Rp: 200 }
  const found = list((await call(account, { service: 'cam', action: 'ListPolicies', params })).List)
  // The keyword finds other names as well.
  const { PolicyId } = found.find((one) => one.PolicyName === name) ?? {}
  if (PolicyId === undefined) return undefined
  return { ...(await call(account, { service: 'cam', action: 'GetPolicy', params: { PolicyId } })), PolicyId }
}

async function attached(account: Account, name: string) {
  const params = { RoleName: name, Page: 1, Rp: 200 }
  return list((await find(account, { service: 'cam', action: 'ListAttachedRolePolicies', params }))?.List)
}

/** CAM answers documents as they were given, or percent-encoded. */
function same(document: unknown, wanted: object): boolean {
  const text = String(document)
  return isDeepStrictEqual(json(text.startsWith('%') ? decodeURIComponent(text) : text), wanted)
}
