import { type Account, call, find, list, text } from './api.ts'
import type { Stage } from './stage.ts'
import type { Step } from './step.ts'

export interface LogTopic {
  ClsLogsetId: string
  ClsTopicId: string
}

/** Days for which logs are kept. */
const KEPT = 30
/** Without an index logs cannot be searched, and the SCF console shows none. */
const INDEX = {
  FullText: { CaseSensitive: false, Tokenizer: '@&()=\'",;:<>[]{}/ \n\t\r', ContainZH: true },
}

/** The log topic of the functions: the one that serverless.yml names, or else one of their own. */
export async function* logTopic(account: Account, { logs }: Stage): Step<LogTopic> {
  if ('topic' in logs) return { ClsLogsetId: logs.logset, ClsTopicId: logs.topic }
  const { logsetName, topicName } = logs
  let logset = text((await findLogset(account, logsetName))?.LogsetId)
  if (logset === '') {
    const params = { LogsetName: logsetName }
    const answer = yield {
      say: `create the log set ${logsetName}`,
      call: { service: 'cls', action: 'CreateLogset', params },
    }
    logset = text(answer.LogsetId)
  }
  let topic = text((await findTopic(account, logset, topicName))?.TopicId)
  if (topic === '') {
    const params = { LogsetId: logset, TopicName: topicName, Period: KEPT }
    const answer = yield {
      say: `create the log topic ${topicName}`,
      call: { service: 'cls', action: 'CreateTopic', params },
    }
    topic = text(answer.TopicId)
  }
  const index = topic.startsWith('<')
    ? undefined
    : await find(account, { service: 'cls', action: 'DescribeIndex', params: { TopicId: topic } })
  if (!index?.Rule) {
    const params = { TopicId: topic, Status: true, Rule: INDEX }
    yield { say: 'index it', call: { service: 'cls', action: 'CreateIndex', params } }
  }
  return { ClsLogsetId: logset, ClsTopicId: topic }
}

async function findLogset(account: Account, name: string) {
  const params = { Filters: [{ Key: 'logsetName', Values: [name] }], Limit: 100 }
  const { Logsets } = await call(account, { service: 'cls', action: 'DescribeLogsets', params })
  return list(Logsets).find(({ LogsetName }) => LogsetName === name)
}

async function findTopic(account: Account, logset: string, name: string) {
  if (logset.startsWith('<')) return undefined
  const params = {
    Filters: [
      { Key: 'topicName', Values: [name] },
      { Key: 'logsetId', Values: [logset] },
    ],
    Limit: 100,
  }
  const { Topics } = await call(account, { service: 'cls', action: 'DescribeTopics', params })
  return list(Topics).find(({ TopicName }) => TopicName === name)
}
