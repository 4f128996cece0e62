import { Readable } from 'node:stream'
import { Refusal } from './answer.ts'
import type { CosRequest } from './request.ts'
import type { State } from './state.ts'

const NAME = 'x-cos-traffic-limit'
const [LEAST, MOST] = [819_200, 838_860_800]

/**
 * A body that comes no faster than the limit of its request, in bit/s ("Single-URL speed limits", product/436/40140). Tests
 * use it to see what a slow transfer does to claims and signatures.
 * @throws Refusal InvalidArgument
 */
export function throttled({ wait }: State, { headers, query }: CosRequest, open: () => Readable): Readable {
  const text = headers.get(NAME) ?? query.get(NAME)
  if (text === undefined) return open()
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < LEAST || limit > MOST)
    throw new Refusal('InvalidArgument', `${NAME} is not ${LEAST} to ${MOST}.`)
  const body = open()
  async function* slowly(): AsyncGenerator<Buffer> {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      await wait(Math.ceil((chunk.length * 8_000) / limit))
      yield chunk
    }
  }
  return Readable.from(slowly(), { objectMode: false })
}
