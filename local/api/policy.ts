import { parsePolicy } from '../cos/policy.ts'
import type { Account } from './account.ts'
import { beijing, type PolicyRecord } from './account.ts'
import type { Action } from './action.ts'
import { ApiError } from './error.ts'
import { Parameters, page } from './parameters.ts'

/** The policy that a request names. @throws ApiError with this code if there is none */
export function findPolicy({ state }: Account, parameters: Parameters, missing: string): PolicyRecord {
  const [id, name] = [parameters.integer('PolicyId'), parameters.text('PolicyName')]
  const policy = state.policies.find((one) => (id === undefined ? one.name === name : one.id === id))
  if (!policy) throw new ApiError(missing, 'The policy does not exist.')
  return policy
}

function checkDocument(document: string): string {
  try {
    parsePolicy(JSON.parse(document))
  } catch (error) {
    throw new ApiError('InvalidParameter.PolicyDocumentError', error instanceof Error ? error.message : String(error))
  }
  return document
}

const MISSING_POLICY = 'ResourceNotFound.PolicyIdNotFound'

/** Cloud Access Management, 2019-01-16: policies. */
export const POLICIES: Readonly<Record<string, Action>> = {
  ListPolicies({ account: { state } }, values) {
    const p = new Parameters(values, ['Rp', 'Page', 'Scope', 'Keyword'])
    const [scope, keyword] = [p.text('Scope') ?? 'All', p.text('Keyword') ?? '']
    if (!['All', 'QCS', 'Local'].includes(scope))
      throw new ApiError('InvalidParameter.ScopeError', 'Scope is not valid.')
    const found = state.policies.filter(
      ({ name, preset }) => name.includes(keyword) && (scope === 'All' || preset === (scope === 'QCS')),
    )
    const attachments = (id: number) =>
      state.roles.filter(({ attached }) => attached.some(({ policy }) => policy === id)).length
    const [rp, number] = [p.integer('Rp') ?? 20, p.integer('Page') ?? 1]
    const List = page(found, (number - 1) * rp, rp, 200).map((policy) => ({
      PolicyId: policy.id,
      PolicyName: policy.name,
      AddTime: beijing(policy.added),
      Type: policy.preset ? 2 : 1,
      Description: policy.description,
      CreateMode: 2,
      Attachments: attachments(policy.id),
      ServiceType: policy.preset ? 'scf' : '',
      IsAttached: null,
      Deactived: 0,
      DeactivedDetail: [],
      IsServiceLinkedPolicy: 0,
      AttachEntityCount: attachments(policy.id),
      AttachEntityBoundaryCount: 0,
      UpdateTime: beijing(policy.updated),
    }))
    return { TotalNum: found.length, List, ServiceTypeList: null }
  },

  GetPolicy({ account }, values) {
    const p = new Parameters(values, ['PolicyId'])
    p.need('PolicyId', p.integer('PolicyId'))
    const policy = findPolicy(account, p, MISSING_POLICY)
    return {
      PolicyName: policy.name,
      Description: policy.description,
      Type: policy.preset ? 2 : 1,
      AddTime: beijing(policy.added),
      UpdateTime: beijing(policy.updated),
      PolicyDocument: policy.document,
      PresetAlias: '',
      IsServiceLinkedRolePolicy: 0,
    }
  },

  CreatePolicy({ account, now }, values) {
    const p = new Parameters(values, ['PolicyName', 'PolicyDocument', 'Description'])
    const name = p.need('PolicyName', p.text('PolicyName'))
    if (!/^[\w+=,.@-]{1,128}$/.test(name))
      throw new ApiError('InvalidParameter.PolicyNameError', 'PolicyName is not valid.')
    if (account.state.policies.some((one) => one.name === name))
      throw new ApiError('FailedOperation.PolicyNameInUse', 'A policy of this name exists.')
    const document = checkDocument(p.need('PolicyDocument', p.text('PolicyDocument')))
    const id = account.number()
    account.state.policies.push({
      id,
      name,
      document,
      description: p.text('Description') ?? '',
      added: now,
      updated: now,
      preset: false,
    })
    return { PolicyId: id }
  },

  UpdatePolicy({ account, now }, values) {
    const p = new Parameters(values, ['PolicyId', 'PolicyName', 'PolicyDocument', 'Description'])
    const policy = findPolicy(account, p, MISSING_POLICY)
    if (policy.preset) throw new ApiError('InvalidParameter.ParamError', 'The policy is one of the vendor’s own.')
    const document = p.text('PolicyDocument')
    if (document !== undefined) policy.document = checkDocument(document)
    policy.description = p.text('Description') ?? policy.description
    policy.updated = now
    // "Only returned if the request has PolicyName."
    return p.has('PolicyName') ? { PolicyId: policy.id } : {}
  },

  DeletePolicy({ account: { state } }, values) {
    const p = new Parameters(values, ['PolicyId'])
    const ids = p.need('PolicyId', p.list('PolicyId'))
    const known = state.policies.filter(({ id, preset }) => !preset && ids.includes(id))
    if (known.length < ids.length) throw new ApiError(MISSING_POLICY, 'A policy does not exist.')
    state.policies = state.policies.filter((policy) => !known.includes(policy))
    for (const role of state.roles) role.attached = role.attached.filter(({ policy }) => !ids.includes(policy))
    return {}
  },
}
