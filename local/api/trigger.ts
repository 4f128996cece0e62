import { beijing, type CosRule, type TriggerRecord } from './account.ts'
import type { Action, Call } from './action.ts'
import { ApiError, leftOut } from './error.ts'
import { ANY, isObject, Parameters, page } from './parameters.ts'
import { PLATFORM_ROLE } from './role.ts'
import { checkReady, deploy, findFunction } from './running.ts'

type Values = Readonly<Record<string, unknown>>

/** product/583/11637: of one kind for a function, and for a bucket. */
const MAX_TRIGGERS = 10

/** product/583/9707 */
const EVENTS =
  /^cos:Object(?:Created:(?:\*|Put|Post|Copy|CompleteMultipartUpload|Origin|Replication)|Remove:(?:\*|Delete|DeleteMarkerCreated)|Restore:(?:Post|Completed))$/

/** Serverless Cloud Functions, 2018-04-16: triggers (product/583/18589 and its neighbours). */
export const TRIGGERS: Readonly<Record<string, Action>> = {
  CreateTrigger(call, values: Values) {
    const p = new Parameters(
      values,
      ['FunctionName', 'TriggerName', 'Type', 'TriggerDesc', 'Qualifier', 'Enable', 'Description'],
      NAMESPACE,
    )
    const found = findFunction(call, p)
    checkReady(found, 'FailedOperation.CreateTrigger', ['UpdateFailed'])
    const type = readType(p)
    const trigger: TriggerRecord = {
      function: found.name,
      name: p.need('TriggerName', p.text('TriggerName')),
      type,
      qualifier: readQualifier(p),
      open: readEnable(p) ?? true,
      description: p.text('Description') ?? '',
      added: call.now,
      modified: call.now,
      ...(type === 'cos' ? { rule: readRule(p) } : { url: readUrl(p) }),
    }
    if (type === 'cos') checkCos(call, trigger)
    else checkUrl(call, trigger)
    const same = call.account.state.triggers.filter((one) => one.function === found.name && one.type === type)
    if (same.length >= MAX_TRIGGERS)
      throw new ApiError('LimitExceeded.Trigger', 'The function has too many triggers of this type.')
    call.account.state.triggers.push(trigger)
    deploy(call)
    return { TriggerInfo: triggerInfo(call, trigger) }
  },

  UpdateTrigger(call, values: Values) {
    const p = new Parameters(
      values,
      ['FunctionName', 'TriggerName', 'Type', 'TriggerDesc', 'Qualifier', 'Enable', 'Description'],
      NAMESPACE,
    )
    findFunction(call, p)
    // "At present only timer, ckafka and http."
    if (readType(p) === 'cos')
      throw new ApiError('InvalidParameterValue.Type', 'A trigger of type cos cannot be updated.')
    const [trigger] = findTriggers(call, p)
    if (!trigger) throw notFound()
    if (p.has('TriggerDesc')) trigger.url = readUrl(p)
    trigger.open = readEnable(p) ?? trigger.open
    trigger.description = p.text('Description') ?? trigger.description
    trigger.modified = call.now
    deploy(call)
    return {}
  },

  DeleteTrigger(call, values: Values) {
    const p = new Parameters(values, ['FunctionName', 'TriggerName', 'Type', 'TriggerDesc', 'Qualifier'], NAMESPACE)
    findFunction(call, p)
    // "Of a COS trigger it is needed"; it need not hold the filter, though.
    const wanted = readType(p) === 'cos' ? readDesc(p) : undefined
    const filter = isObject(wanted?.filter) ? wanted.filter : undefined
    const found = findTriggers(call, p).filter(
      ({ rule }) =>
        !rule ||
        (rule.event === wanted?.event &&
          (!filter || (rule.prefix === (filter.Prefix ?? '') && rule.suffix === (filter.Suffix ?? '')))),
    )
    if (found.length === 0) throw notFound()
    if (found.length > 1)
      throw new ApiError('InvalidParameterValue.TriggerDesc', 'Several triggers fit: the filter is needed.')
    const { state } = call.account
    state.triggers = state.triggers.filter((one) => !found.includes(one))
    deploy(call)
    return {}
  },

  ListTriggers(call, values: Values) {
    const p = new Parameters(values, ['FunctionName', 'Offset', 'Limit', 'OrderBy', 'Order'], {
      ...NAMESPACE,
      Filters: [],
    })
    const { name } = findFunction(call, p)
    const by = p.text('OrderBy') === 'add_time' ? 'added' : 'modified'
    const found = call.account.state.triggers.filter((one) => one.function === name).sort((a, b) => a[by] - b[by])
    if (p.text('Order') !== 'ASC') found.reverse()
    const Triggers = page(found, p.integer('Offset'), p.integer('Limit')).map((one) => triggerInfo(call, one))
    return { TotalCount: found.length, Triggers }
  },
}

const NAMESPACE = { Namespace: ['default'], CustomArgument: [ANY] }

/** A trigger as the answers show it: more than was said when it was made. */
export function triggerInfo(call: Pick<Call, 'url'>, trigger: TriggerRecord): object {
  const { rule, url, name } = trigger
  const desc = rule
    ? { bucketUrl: name, event: rule.event, filter: { Prefix: rule.prefix, Suffix: rule.suffix } }
    : {
        AuthType: 'NONE',
        NetConfig: {
          EnableIntranet: url?.intranet,
          EnableExtranet: url?.extranet,
          IntranetUrl: '',
          ExtranetUrl: url?.extranet ? call.url : '',
        },
      }
  return {
    TriggerName: name,
    Type: trigger.type,
    TriggerDesc: JSON.stringify(desc),
    Enable: trigger.open ? 1 : 0,
    Qualifier: trigger.qualifier,
    AvailableStatus: 'Available',
    CustomArgument: '',
    Description: trigger.description,
    AddTime: beijing(trigger.added),
    ModTime: beijing(trigger.modified),
    ResourceId: '',
    BindStatus: '',
    TriggerAttribute: '',
    BoundResources: '',
  }
}

/** Whether an object can be both one's and the other's. */
export function overlaps(a: CosRule, b: CosRule): boolean {
  const covers = (one: string, other: string) =>
    one === other || (one.endsWith('*') && other.startsWith(one.slice(0, -1)))
  return (
    (covers(a.event, b.event) || covers(b.event, a.event)) &&
    (a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix)) &&
    (a.suffix.endsWith(b.suffix) || b.suffix.endsWith(a.suffix))
  )
}

function checkCos(
  { account: { state }, hasBucket, region }: Call,
  { name, rule, function: owner }: TriggerRecord,
): void {
  const [, bucket = '', where] = /^([a-z0-9-]+-\d+)\.cos\.([a-z0-9-]+)\.myqcloud\.com$/.exec(name) ?? []
  if (bucket === '')
    throw new ApiError('InvalidParameterValue.TriggerName', 'TriggerName is not the host name of a bucket.')
  if (!state.roles.some((role) => role.name === PLATFORM_ROLE))
    throw new ApiError('FailedOperation.QcsRoleNotFound', `There is no role ${PLATFORM_ROLE}.`)
  if (where !== region || !hasBucket(bucket))
    throw new ApiError('ResourceNotFound.Cos', `There is no bucket ${bucket} in ${region}.`)
  const others = state.triggers.filter((one) => one.name === name && one.rule)
  for (const other of others) {
    if (!rule || !other.rule || !overlaps(rule, other.rule)) continue
    const equal = JSON.stringify(rule) === JSON.stringify(other.rule) && other.function === owner
    if (equal) throw new ApiError('ResourceInUse.Trigger', 'The function has this trigger.')
    throw new ApiError(
      'ResourceInUse.Cos',
      `The bucket has a trigger of function ${other.function} whose events, prefix and suffix overlap.`,
    )
  }
  if (others.length >= MAX_TRIGGERS) throw new ApiError('LimitExceeded.Trigger', 'The bucket has too many triggers.')
}

function checkUrl({ account: { state } }: Call, { function: owner, qualifier }: TriggerRecord): void {
  const others = state.triggers.filter(({ url }) => url)
  if (others.some((one) => one.function === owner && one.qualifier === qualifier))
    throw new ApiError('ResourceInUse.Trigger', 'The function has a URL for this version.')
  if (others.length > 0) throw leftOut(`a second function URL: function ${others[0]?.function} has the port`)
}

/** Those that a request names. */
function findTriggers({ account: { state } }: Call, p: Parameters): TriggerRecord[] {
  const [owner, name] = [p.text('FunctionName'), p.need('TriggerName', p.text('TriggerName'))]
  const [type, qualifier] = [readType(p), readQualifier(p)]
  return state.triggers.filter(
    (one) => one.function === owner && one.name === name && one.type === type && one.qualifier === qualifier,
  )
}

function notFound(): ApiError {
  return new ApiError('ResourceNotFound.Trigger', 'The trigger does not exist.')
}

function readType(p: Parameters): 'cos' | 'http' {
  const type = p.need('Type', p.text('Type'))
  if (type === 'cos' || type === 'http') return type
  if (['timer', 'ckafka', 'cls', 'cmq', 'apigw'].includes(type)) throw leftOut(`triggers of type ${type}`)
  throw new ApiError('InvalidParameterValue.Type', `There are no triggers of type ${type}.`)
}

function readQualifier(p: Parameters): string {
  const qualifier = p.text('Qualifier') ?? '$LATEST'
  if (!['$LATEST', '$DEFAULT'].includes(qualifier)) throw leftOut('versions')
  return qualifier
}

function readEnable(p: Parameters): boolean | undefined {
  const enable = p.text('Enable')
  if (enable !== undefined && enable !== 'OPEN' && enable !== 'CLOSE')
    throw new ApiError('InvalidParameterValue.Enable', 'Enable is OPEN or CLOSE.')
  return enable === undefined ? undefined : enable === 'OPEN'
}

function readDesc(p: Parameters): Values {
  const invalid = new ApiError('InvalidParameterValue.TriggerDesc', 'TriggerDesc is missing or no JSON object.')
  try {
    const value: unknown = JSON.parse(p.text('TriggerDesc') ?? '')
    if (isObject(value)) return value
  } catch {
    throw invalid
  }
  throw invalid
}

function readRule(p: Parameters): CosRule {
  const { event, filter = {} } = readDesc(p)
  const { Prefix = '', Suffix = '' } = isObject(filter) ? filter : { Prefix: null }
  if (typeof event !== 'string' || !EVENTS.test(event) || typeof Prefix !== 'string' || typeof Suffix !== 'string')
    throw new ApiError(
      'InvalidParameterValue.TriggerDesc',
      'TriggerDesc needs an event of COS, and a filter of Prefix and Suffix.',
    )
  return { event, prefix: Prefix, suffix: Suffix }
}

/** product/583/100227 */
function readUrl(p: Parameters): NonNullable<TriggerRecord['url']> {
  const { AuthType, NetConfig, CorsConfig } = readDesc(p)
  const { EnableIntranet: intranet, EnableExtranet: extranet } = isObject(NetConfig) ? NetConfig : {}
  if (typeof intranet !== 'boolean' || typeof extranet !== 'boolean' || (AuthType !== 'NONE' && AuthType !== 'CAM'))
    throw new ApiError(
      'InvalidParameterValue.TriggerDesc',
      'TriggerDesc needs AuthType, and both switches of NetConfig.',
    )
  if (AuthType === 'CAM') throw leftOut('function URLs with AuthType CAM')
  if (isObject(CorsConfig) && CorsConfig.Enable === true) throw leftOut('CorsConfig of function URLs')
  return { intranet, extranet }
}
