import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Refusal } from './answer.ts'
import type { CosRequest } from './request.ts'
import type { State } from './state.ts'

const TIME_LIMIT = 10_000

/**
 * Fetches the picture that a detect-url names. This process fetches it, so unlike at the vendor it may also come from this
 * machine or its network. Redirects are not followed.
 */
export async function fetchImage(state: State, { body }: CosRequest, url: URL, limit: number): Promise<Buffer> {
  // The host names of buckets always lead to this COS.
  const own = /^[a-z0-9-]+\.cos\.[a-z0-9-]+\.myqcloud\.com$/.test(url.hostname)
  const port = own ? body.socket.localPort : state.hosts?.get(url.hostname)
  const rawPath = `${url.pathname}${url.search}`
  const signal = AbortSignal.timeout(TIME_LIMIT)
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = port
        ? httpRequest({
            host: '127.0.0.1',
            port,
            path: rawPath,
            headers: { Host: url.host },
            signal,
            agent: false,
          })
        : (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, { signal, agent: false })
      request.once('response', resolve).once('error', reject).end()
    })
    if (response.statusCode !== 200) {
      response.destroy()
      throw new Refusal('InvalidImageSource', `The detect-url answered ${response.statusCode}.`)
    }
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      // Leaving the loop destroys the response, so no more than the limit is read.
      if (size > limit) throw new Refusal('ImageTooLarge')
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('InvalidImageSource', 'The detect-url could not be fetched.')
  }
}

/** Decodes a detect-url until it is a URL: the vendor's own example is encoded three times, the SDKs encode once. */
export function readDetectUrl(text: string): URL {
  let decoded = text
  try {
    for (let i = 0; i < 4 && !/^https?:\/\//i.test(decoded); i++) decoded = decodeURIComponent(decoded)
    const url = new URL(decoded)
    if (/^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url
  } catch {
    // Refused below, like a URL that is not allowed.
  }
  throw new Refusal('InvalidImageSource', 'The detect-url is not an http or https URL.')
}
