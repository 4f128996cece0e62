import { type ImageSet, imageSet, imageUrl, openUrl } from '../lib/access.ts'
import { readRequest } from '../lib/asked.ts'
import { MattingError } from '../lib/errors.ts'
import type { Operator } from './operator.ts'
import { findUrl } from './url.ts'

export interface AddressOptions {
  /** A preset with or without a view: `card`, `card,width=320`. */
  preset: string
  widths: readonly number[]
  /** Seconds for which a signed URL is good. */
  expires: number
  origin?: string | undefined
  /** One of URL_KEYS; by default the first. */
  keyId?: string | undefined
}

/** The image URL of a photo, or of several widths with their `<img>`. @throws MattingError, if the image function would refuse it */
export async function address(
  operator: Operator,
  key: string,
  options: AddressOptions,
): Promise<{ url: string; set?: ImageSet }> {
  const { account, config, stage } = operator
  const { preset: layout, widths, keyId } = options
  const origin =
    options.origin ?? (account.local ? `http://127.0.0.1:${account.local.cos + 1}` : await findUrl(account, stage))
  if (!origin)
    throw new MattingError(
      'misconfigured',
      'The image function has no URL yet: `deploy` gives it one, or say --origin.',
    )
  const [id = '', secret] = keyId === undefined ? ([...config.urlKeys][0] ?? []) : [keyId, config.urlKeys.get(keyId)]
  if (config.access === 'signed' && secret === undefined)
    throw new MattingError(
      'bad-request',
      `URL_KEYS has no key ${keyId}; it has ${[...config.urlKeys.keys()].join(', ')}.`,
    )
  const { cos } = operator.open(60_000)
  // The signature ends by COS's clock, not by this machine's.
  if (config.access === 'signed') await cos.head(key)
  const expires = Math.floor(cos.clock() / 1000) + options.expires
  const signer = config.access === 'signed' && secret !== undefined ? { id, secret, expires } : undefined
  const url = signer ? imageUrl(origin, { layout, key, expires }, id, signer.secret) : openUrl(origin, layout, key)
  if (widths.length === 0) return accept({ url }, [url])
  const sizes = `${Math.max(...widths)}px`
  const set = imageSet(origin, { layout, key, widths, sizes, alt: '', ...(signer && { signer }) })
  return accept(
    { url, set },
    set.srcset.split(', ').map((part) => part.split(' ')[0] ?? ''),
  )

  /** Read as the image function would read them, so that nobody puts a URL on a page that is refused there. */
  function accept<T>(result: T, urls: readonly string[]): T {
    for (const one of urls) readRequest(new URL(one), config)
    return result
  }
}
