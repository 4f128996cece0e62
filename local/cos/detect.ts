import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Refusal } from './answer.ts'
import type { Cloud } from './cloud.ts'
import type { CosRequest } from './request.ts'

const TIME_LIMIT = 10_000

/**
 * The picture a detect-url points to. It is fetched by this process, so unlike at the vendor's it may also be one of
 * this computer or its network. Redirects are not followed.
 */
export async function fetchImage(cloud: Cloud, { body }: CosRequest, url: URL, limit: number): Promise<Buffer> {
  // The buckets' own names lead here, whatever the resolver says of them.
  const own = /^[a-z0-9-]+\.cos\.[a-z0-9-]+\.myqcloud\.com$/.test(url.hostname)
  const port = own ? body.socket.localPort : cloud.hosts?.get(url.hostname)
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
      // Leaving the loop destroys the response: no more is read than was asked for.
      if (size > limit) throw new Refusal('ImageTooLarge')
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('InvalidImageSource', 'The detect-url could not be fetched.')
  }
}

/** The page's own example is encoded three times over, what SDKs send only once: decoded until it is a URL. */
export function readDetectUrl(text: string): URL {
  let decoded = text
  try {
    for (let i = 0; i < 4 && !/^https?:\/\//i.test(decoded); i++) decoded = decodeURIComponent(decoded)
    const url = new URL(decoded)
    if (/^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url
  } catch {
    // Neither encoded nor a URL: refused below.
  }
  throw new Refusal('InvalidImageSource', 'The detect-url is not an http or https URL.')
}
