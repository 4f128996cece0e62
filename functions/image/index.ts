import { randomUUID } from 'node:crypto'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import { type Config, readConfig, readCredentials } from '../../lib/config.ts'
import { createCos } from '../../lib/cos.ts'
import { MattingError } from '../../lib/errors.ts'
import { errorFields, log } from '../../lib/log.ts'
import { toRequest, toResult, type UrlResult } from './event.ts'
import { image, problem } from './image.ts'

/** Cache: the environment of an instance does not change, but for the credentials. */
let config: Config | undefined

/** Time kept for the answer, in milliseconds. */
const MARGIN = 500

/** The HTTP function's entry: a function-URL event in, a redirect or problem details out. */
export const main_handler = middy({
  timeoutEarlyInMillis: MARGIN / 2,
  timeoutEarlyResponse: () => {
    throw new MattingError('timeout')
  },
})
  .handler(async (event: unknown, context: Context): Promise<UrlResult> => {
    const now = Date.now
    config ??= readConfig(process.env)
    const deadline = now() + (context.getRemainingTimeInMillis?.() ?? 30_000) - MARGIN
    const random = Math.random
    const cos = createCos({ ...config, credentials: readCredentials(process.env), deadline, now, random })
    const request = toRequest(event)
    const response = await image(request, { config, cos, now, random, uuid: randomUUID, deadline })
    // What costs money leaves a line.
    if (response.headers.get('x-matting') === 'made')
      log({ function: 'image', path: new URL(request.url).pathname, paid: 1 })
    return toResult(response)
  })
  .onError(async (request) => {
    const error = MattingError.from(request.error)
    if (error.status >= 500) log({ function: 'image', outcome: 'failed', ...errorFields(error) })
    request.response = await toResult(problem(error, Date.now()))
  })
