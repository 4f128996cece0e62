import { randomInt } from 'node:crypto'
import { type Policy, parsePolicy } from '../cos/policy.ts'
import { type Account, beijing, type Role, type State } from './account.ts'
import type { Action, Call } from './action.ts'
import { ApiError } from './error.ts'
import { ANY, Parameters, page } from './parameters.ts'
import { findPolicy } from './policy.ts'

/** Lets the platform write the triggers of a bucket (product/583/31444); made when somebody first opens SCF's console. */
export const PLATFORM_ROLE = 'SCF_QcsRole'
const PLATFORM_POLICY = 'QcloudAccessForScfRole'
/** What it lets the platform do is not done here by that policy. */
const NOTHING = '{"version":"2.0","statement":[]}'

/** What is there in an account in which SCF's console was opened once. */
export function openAccount(state: State, now: number): void {
  const [policy, times] = [state.next++, { added: now, updated: now }]
  state.policies.push({ id: policy, name: PLATFORM_POLICY, document: NOTHING, description: '', preset: true, ...times })
  const trust = JSON.stringify(trustOf('scf.qcloud.com'))
  const role = {
    id: newRoleId(),
    name: PLATFORM_ROLE,
    trust,
    description: '',
    session: 0,
    type: 'system',
    ...times,
  } as const
  state.roles.push({ ...role, attached: [{ policy, since: now }] })
}

function trustOf(service: string): object {
  return {
    version: '2.0',
    statement: [{ action: 'name/sts:AssumeRole', effect: 'allow', principal: { service: [service] } }],
  }
}

/** What a function with this role may do; undefined if it cannot take the role on. It is asked anew each time, for roles change. */
export function roleOf({ state }: Account, name: string): Policy | undefined {
  const role = state.roles.find((one) => one.name === name)
  if (!role || !readTrust(role.trust).includes('scf.qcloud.com')) return undefined
  const documents = role.attached.map(
    ({ policy }) => state.policies.find(({ id }) => id === policy)?.document ?? NOTHING,
  )
  return { statements: documents.flatMap((document) => parsePolicy(JSON.parse(document)).statements) }
}

/** The services that may take a role on. */
function readTrust(document: string): string[] {
  try {
    const { statement } = Object(JSON.parse(document))
    return (Array.isArray(statement) ? statement : []).flatMap((entry: unknown) => {
      const { action, effect, principal } = Object(entry)
      return effect === 'allow' && [action].flat().includes('name/sts:AssumeRole')
        ? [Object(principal).service].flat()
        : []
    })
  } catch {
    return []
  }
}

function findRole({ state }: Account, parameters: Parameters, prefix = ''): Role {
  const [id, name] = [parameters.text(`${prefix}RoleId`), parameters.text(`${prefix}RoleName`)]
  if (id === undefined && name === undefined)
    throw new ApiError('InvalidParameter.ParamError', `One of ${prefix}RoleId and ${prefix}RoleName is needed.`)
  const role = state.roles.find((one) => (id === undefined ? one.name === name : one.id === id))
  if (!role) throw new ApiError('InvalidParameter.RoleNotExist', 'The role does not exist.')
  return role
}

function checkTrust(document: string): string {
  if (readTrust(document).length === 0)
    throw new ApiError('InvalidParameter.PrincipalError', 'PolicyDocument lets no service take the role on.')
  return document
}

const BY_ROLE = ['RoleId', 'RoleName']

/** Cloud Access Management, 2019-01-16: roles and their policies. */
export const ROLES: Readonly<Record<string, Action>> = {
  GetRole({ account }, values) {
    const role = findRole(account, new Parameters(values, BY_ROLE))
    return {
      RoleInfo: {
        RoleId: role.id,
        RoleName: role.name,
        PolicyDocument: role.trust,
        Description: role.description,
        AddTime: beijing(role.added),
        UpdateTime: beijing(role.updated),
        ConsoleLogin: 0,
        RoleType: role.type,
        SessionDuration: role.session,
        DeletionTaskId: '',
      },
    }
  },

  CreateRole({ account, now }, values) {
    const names = ['RoleName', 'PolicyDocument', 'Description', 'SessionDuration']
    const p = new Parameters(values, names, { ConsoleLogin: [0], Tags: [ANY] })
    const name = p.need('RoleName', p.text('RoleName'))
    if (!/^[\w+=,.@-]{1,128}$/.test(name))
      throw new ApiError('InvalidParameter.RoleNameError', 'RoleName is not valid.')
    if (account.state.roles.some((one) => one.name === name))
      throw new ApiError('InvalidParameter.RoleNameInUse', 'A role of this name exists.')
    const trust = checkTrust(p.need('PolicyDocument', p.text('PolicyDocument')))
    const [description, session] = [p.text('Description') ?? '', p.integer('SessionDuration') ?? 0]
    const role: Role = {
      id: newRoleId(),
      name,
      trust,
      description,
      session,
      attached: [],
      type: 'user',
      added: now,
      updated: now,
    }
    account.state.roles.push(role)
    return { RoleId: role.id }
  },

  UpdateAssumeRolePolicy({ account, now }, values) {
    const p = new Parameters(values, [...BY_ROLE, 'PolicyDocument'])
    const role = findRole(account, p)
    role.trust = checkTrust(p.need('PolicyDocument', p.text('PolicyDocument')))
    role.updated = now
    return {}
  },

  DeleteRole({ account }, values) {
    const role = findRole(account, new Parameters(values, BY_ROLE))
    account.state.roles.splice(account.state.roles.indexOf(role), 1)
    return {}
  },

  ListAttachedRolePolicies({ account }, values) {
    const p = new Parameters(values, [...BY_ROLE, 'Page', 'Rp', 'PolicyType', 'Keyword'])
    const [number, rp] = [p.need('Page', p.integer('Page')), p.need('Rp', p.integer('Rp'))]
    const [type, keyword] = [p.text('PolicyType'), p.text('Keyword') ?? '']
    const list = findRole(account, p).attached.flatMap(({ policy: id, since }) => {
      const policy = account.state.policies.find((one) => one.id === id)
      if (!policy?.name.includes(keyword) || (type && type !== (policy.preset ? 'QCS' : 'User'))) return []
      return {
        PolicyId: id,
        PolicyName: policy.name,
        AddTime: beijing(since),
        PolicyType: policy.preset ? 'QCS' : 'User',
        CreateMode: 2,
        Deactived: 0,
        DeactivedDetail: [],
        Description: policy.description,
      }
    })
    return { List: page(list, (number - 1) * rp, rp, 200), TotalNum: list.length }
  },

  AttachRolePolicy(call, values) {
    const { role, policy } = readPair(call, values, 'Attach')
    if (!role.attached.some((one) => one.policy === policy.id))
      role.attached.push({ policy: policy.id, since: call.now })
    return {}
  },

  DetachRolePolicy(call, values) {
    const { role, policy } = readPair(call, values, 'Detach')
    role.attached = role.attached.filter((one) => one.policy !== policy.id)
    return {}
  },
}

function readPair({ account }: Call, values: Readonly<Record<string, unknown>>, prefix: string) {
  const p = new Parameters(values, ['PolicyId', 'PolicyName', `${prefix}RoleId`, `${prefix}RoleName`])
  return { role: findRole(account, p, prefix), policy: findPolicy(account, p, 'InvalidParameter.PolicyIdNotExist') }
}

/** Of nineteen digits, which no number of JavaScript holds: they are text in the answers. */
function newRoleId(): string {
  return `4611686018${randomInt(10 ** 8, 10 ** 9)}`
}
