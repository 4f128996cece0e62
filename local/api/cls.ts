import { randomUUID } from 'node:crypto'
import { beijing, type State, type Topic } from './account.ts'
import type { Action } from './action.ts'
import { ApiError } from './error.ts'
import { ANY, Parameters, page } from './parameters.ts'

type Values = Readonly<Record<string, unknown>>

/** The filters of a list: `Filters: [{Key, Values}]`, each of which one of its values has to fit. */
function filters(p: Parameters, keys: readonly string[]): (of: Readonly<Record<string, string>>) => boolean {
  const read = (p.objects('Filters') ?? []).map((entry) => {
    const filter = new Parameters(entry, ['Key', 'Values'], {}, 'Filters.')
    const key = filter.need('Key', filter.text('Key'))
    if (!keys.includes(key)) throw new ApiError('InvalidParameterValue', `There is no filter ${key}.`)
    return { key, values: filter.need('Values', filter.list('Values')) }
  })
  return (of) =>
    read.every(({ key, values }) =>
      values.some((value) => (/Name$/.test(key) ? of[key]?.includes(String(value)) : of[key] === value)),
    )
}

function findTopic({ topics }: State, p: Parameters): Topic {
  const id = p.need('TopicId', p.text('TopicId'))
  const topic = topics.find((one) => one.id === id)
  if (!topic) throw new ApiError('ResourceNotFound.TopicNotExist', 'The log topic does not exist.')
  return topic
}

/** Cloud Log Service, 2020-10-16, as far as it is about where logs go (product/614/42785 and its neighbours); the logs themselves are not kept. */
export const CLS: Readonly<Record<string, Action>> = {
  DescribeLogsets({ account: { state } }, values: Values) {
    const p = new Parameters(values, ['Filters', 'Offset', 'Limit'])
    const fits = filters(p, ['logsetName', 'logsetId'])
    const found = state.logsets.filter(({ id, name }) => fits({ logsetId: id, logsetName: name }))
    const Logsets = page(found, p.integer('Offset'), p.integer('Limit')).map(({ id, name, added }) => ({
      LogsetId: id,
      LogsetName: name,
      CreateTime: beijing(added),
      AssumerUin: null,
      Tags: null,
      TopicCount: state.topics.filter(({ logset }) => logset === id).length,
      RoleName: '',
    }))
    return { TotalCount: found.length, Logsets }
  },

  CreateLogset({ account: { state }, now }, values: Values) {
    const p = new Parameters(values, ['LogsetName'], { Tags: [ANY] })
    const name = p.need('LogsetName', p.text('LogsetName'))
    if (name === '' || name.length > 255 || name.includes('|'))
      throw new ApiError('InvalidParameterValue', 'LogsetName is not valid.')
    if (state.logsets.some((one) => one.name === name))
      throw new ApiError('InvalidParameter.LogsetConflict', 'A logset of this name exists.')
    const id = randomUUID()
    state.logsets.push({ id, name, added: now })
    return { LogsetId: id }
  },

  DescribeTopics({ account: { state } }, values: Values) {
    const p = new Parameters(values, ['Filters', 'Offset', 'Limit'], { PreciseSearch: [ANY], BizType: [0] })
    const fits = filters(p, ['topicName', 'topicId', 'logsetId', 'logsetName'])
    const nameOf = (logset: string) => state.logsets.find(({ id }) => id === logset)?.name ?? ''
    const found = state.topics.filter(({ id, name, logset }) =>
      fits({ topicId: id, topicName: name, logsetId: logset, logsetName: nameOf(logset) }),
    )
    const Topics = page(found, p.integer('Offset'), p.integer('Limit')).map(
      ({ id, name, logset, added, period, index }) => ({
        LogsetId: logset,
        TopicId: id,
        TopicName: name,
        PartitionCount: 1,
        Index: index?.status ?? false,
        AssumerName: '',
        CreateTime: beijing(added),
        Status: true,
        Tags: null,
        AutoSplit: true,
        MaxSplitPartitions: 50,
        StorageType: 'hot',
        Period: period,
        Describes: '',
      }),
    )
    return { TotalCount: found.length, Topics }
  },

  CreateTopic({ account: { state }, now }, values: Values) {
    const others = {
      PartitionCount: [1],
      Tags: [ANY],
      AutoSplit: [true],
      MaxSplitPartitions: [ANY],
      StorageType: ['hot'],
      Describes: [ANY],
    }
    const p = new Parameters(values, ['LogsetId', 'TopicName', 'Period'], others)
    const logset = p.need('LogsetId', p.text('LogsetId'))
    const name = p.need('TopicName', p.text('TopicName'))
    if (!state.logsets.some(({ id }) => id === logset))
      throw new ApiError('ResourceNotFound.LogsetNotExist', 'The logset does not exist.')
    if (state.topics.some((one) => one.logset === logset && one.name === name))
      throw new ApiError('InvalidParameter.TopicConflict', 'The logset has a log topic of this name.')
    const period = p.integer('Period') ?? 30
    if (period !== 3640 && !(period >= 1 && period <= 3600))
      throw new ApiError('InvalidParameterValue', 'Period is a number of days, 1 to 3600, or 3640 for ever.')
    const id = randomUUID()
    state.topics.push({ id, logset, name, period, added: now })
    return { TopicId: id }
  },

  CreateIndex({ account: { state }, now }, values: Values) {
    const p = new Parameters(values, ['TopicId', 'Rule', 'Status'], {
      IncludeInternalFields: [ANY],
      MetadataFlag: [ANY],
    })
    const topic = findTopic(state, p)
    const rule = p.need('Rule', p.object('Rule'))
    if (topic.index) throw new ApiError('InvalidParameter.IndexConflict', 'The log topic has an index.')
    topic.index = { rule, status: p.flag('Status') ?? true, modified: now }
    return {}
  },

  DescribeIndex({ account: { state } }, values: Values) {
    const topic = findTopic(state, new Parameters(values, ['TopicId']))
    if (!topic.index) throw new ApiError('ResourceNotFound.IndexNotExist', 'The log topic has no index.')
    const { rule, status, modified } = topic.index
    return {
      TopicId: topic.id,
      Status: status,
      Rule: rule,
      ModifyTime: beijing(modified),
      IncludeInternalFields: false,
      MetadataFlag: 0,
    }
  },
}
