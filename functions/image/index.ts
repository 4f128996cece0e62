import { randomUUID } from 'node:crypto'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import { safePath } from '../../lib/asked.ts'
import type { Config } from '../../lib/config.ts'
import { createSettings, type Settings } from '../../lib/environment.ts'
import { MattingError } from '../../lib/errors.ts'
import { lookAt as lookAtPicture } from '../../lib/external.ts'
import { createInvocation } from '../../lib/invocation.ts'
import { errorFields, type Fields, log } from '../../lib/log.ts'
import { isSelfTest, type SelfTest, selfTest } from '../../lib/selftest.ts'
import { toRequest, toResult, type UrlResult } from './event.ts'
import { type ImageInvocation, image } from './image.ts'
import { problem } from './problem.ts'

const settings = createSettings(process.env)
/** Cache of the results under one configuration; they change only with the photo. */
const known: ImageInvocation['known'] = new Map()
let knownBy: Config | undefined

/** Time kept for the answer, in milliseconds. */
const MARGIN = 500

/** The HTTP function's entry: a function-URL event in, a redirect or problem details out. */
export const main_handler = middy({
  timeoutEarlyInMillis: MARGIN / 2,
  timeoutEarlyResponse: () => {
    throw new MattingError('timeout')
  },
})
  .handler(async (event: unknown, context: Context): Promise<UrlResult | SelfTest> => {
    const now = Date.now
    const deadline = now() + (context.getRemainingTimeInMillis?.() ?? 30_000) - MARGIN
    const time = { now, random: Math.random, uuid: randomUUID, deadline }
    const open = ({ config, credentials }: Settings) => createInvocation(config, { credentials, ...time })
    if (isSelfTest(event)) return selfTest(() => settings(context), open)
    const basis = open(settings(context))
    const { config, store, spent } = basis
    if (config !== knownBy) known.clear()
    knownBy = config
    const { detectHosts: hosts, maxSourceBytes: maxBytes, delivery } = config
    // In direct delivery nothing is stored, so no version of a picture needs a name.
    const memory = delivery === 'stored' ? { memory: store } : {}
    const lookAt = async (url: URL) => {
      // Loaded only here, because it would take a millisecond of every cold start.
      const { lookup } = await import('node:dns')
      return lookAtPicture(url, { hosts, maxBytes, lookup, now, deadline, ...memory })
    }
    const invocation = { ...basis, steady: () => performance.now(), lookAt, known }
    const request = toRequest(event)
    // Every paid call leaves a log line, whatever the answer is.
    const report = (fields: Fields) =>
      log({ function: 'image', path: safePath(request.url), ...fields, paid: spent.calls })
    try {
      const response = await image(request, invocation)
      if (spent.calls > 0) report({ outcome: response.headers['x-matting'] ?? '' })
      return toResult(response)
    } catch (thrown) {
      const error = MattingError.from(thrown)
      if (error.status >= 500 || spent.calls > 0) report({ outcome: 'failed', ...errorFields(error) })
      return toResult(problem(error, store.clock(), spent))
    }
  })
  .onError((request) => {
    const error = MattingError.from(request.error)
    if (error.status >= 500) log({ function: 'image', outcome: 'failed', ...errorFields(error) })
    request.response = toResult(problem(error, Date.now()))
  })
