import { createHash } from 'node:crypto'
import type { LookupAddress, LookupAllOptions } from 'node:dns'
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { type Content, elsewhereName, type Memory, recall, recordKey, remember } from './elsewhere.ts'
import { MattingError } from './errors.ts'
import { send } from './http.ts'

/** A picture elsewhere. */
export interface Picture {
  /** Its name, without secrets. */
  key: string
  /** Where it was found, after redirects. */
  url: string
  /** Identifies its version: SHA-256 of its bytes, in hex. */
  etag: string
  /** Bytes. */
  size: number
  /** When it was last modified, as its host says; 0 if the host does not say it. */
  modified: number
  /** The requested URL, and the version, as keys had them before 1.0. Secret, and never stored. */
  asked: { url: string; version: string }
}

/** dns.lookup, called with `all`. */
export type Lookup = (
  host: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface LookOptions {
  /** The allowed hosts, in lower case. */
  hosts: readonly string[]
  maxBytes: number
  lookup: Lookup
  now: () => number
  /** Milliseconds since the epoch; nothing is waited for past it. */
  deadline: number
  /** Milliseconds until there is an answer, including redirects and name look-ups; its bytes may take twice as long. */
  timeout?: number
  /** Without it the version is what the host's headers say, and the bytes are fetched only if they say nothing. */
  memory?: Memory
}

/** Longer URLs do not pass every proxy, nor do they fit, encoded, into a detect-url. */
const MAX_URL = 2_000
const MAX_REDIRECTS = 3
const TIMEOUT = 5_000

/**
 * The host is read from the raw text, and must end where every parser ends it. About a user, a port, brackets, `\`, `%` or a
 * letter that is not ASCII, parsers differ (ours, the vendor's), so one host could be checked and another one asked. Without
 * the u flag, because with it `ſ` matches `s`, and the Kelvin sign matches `k`.
 */
const FORM = /^https?:\/\/([a-z\d.-]*[a-z\d])(?=[/?#]|$)/i

const IMAGE = /^(image\/|(application|binary)\/octet-stream\s*(;|$))/i

/**
 * Addresses that are not globally reachable, by IANA's special-purpose address registries (RFC 6890), and also 192.88.99.0/24
 * and 2002::/16 (6to4) and multicast. In 169.254.0.0/16 clouds give out a role's credentials.
 */
const special = ranges(
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
)
/**
 * The only global unicast space of IPv6 so far. Addresses that hold an IPv4 address (mapped, NAT64), ULA and link-local are
 * outside.
 */
const unicast6 = ranges('2000::/3')

function ranges(...subnets: string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [net = '', bits] = subnet.split('/')
    // Not by isIP, whose pattern for IPv6 takes 4 ms of every start to compile.
    list.addSubnet(net, Number(bits), net.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

/** Whether an IP address belongs to the public internet. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !special.check(address, 'ipv4')
  return isIP(address) === 6 && unicast6.check(address, 'ipv6') && !special.check(address, 'ipv6')
}

/**
 * Reads the URL of a picture elsewhere, without its fragment, and sends no request. IP addresses are refused even if they are
 * listed.
 * @throws MattingError bad-request, host-refused
 */
export function readExternal(text: string, hosts: readonly string[]): URL {
  const host = FORM.exec(text)?.[1]?.toLowerCase()
  if (host === undefined || /[\s\p{Cc}\\]/u.test(text) || !URL.canParse(text)) throw malformed()
  const url = new URL(text)
  url.hash = ''
  // The parser turns `2130706433`, `0x7f.1` and similar hosts into `127.0.0.1`, so any host that it changes is refused.
  if (url.hostname !== host || isIP(host) !== 0 || !hosts.includes(host)) throw new MattingError('host-refused')
  if (url.href.length > MAX_URL) throw malformed()
  return url
}

function malformed(): MattingError {
  return new MattingError(
    'bad-request',
    `Expected http(s)://host/path without user or port, at most ${MAX_URL} bytes of it.`,
  )
}

/**
 * Finds out the version of a picture elsewhere: one GET and at most three redirects. It stops after the headers if the memory
 * (or, without one, the headers alone) tells the version. Undefined if there is no picture: no such name, a 4xx, redirects
 * without an end.
 * @throws MattingError host-refused: a name that leads into a private network, a redirect to a host that is not listed or from
 * https to http; not-an-image, too-large; unavailable
 */
export function lookAt(url: URL, options: LookOptions): Promise<Picture | undefined> {
  return follow(url, options).catch((cause: NodeJS.ErrnoException) => {
    if (cause instanceof MattingError) throw cause
    if (cause.code === 'ENOTFOUND') return undefined
    throw unavailable(cause)
  })
}

async function follow(start: URL, options: LookOptions): Promise<Picture | undefined> {
  const { hosts, lookup, now, deadline, timeout = TIMEOUT } = options
  const controller = new AbortController()
  const wait = (most: number) => setTimeout(() => controller.abort(), Math.max(1, Math.min(most, deadline - now())))
  let timer = wait(timeout)
  try {
    // Read once more, because for an IP address Node does not call `lookup`, and so not our guard.
    let url = readExternal(start.href, hosts)
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await get(url, lookup, controller.signal)
      try {
        const { statusCode: status = 0, headers } = response
        if (status === 200) {
          clearTimeout(timer)
          timer = wait(2 * timeout)
          return await read(response, start, url, options)
        }
        if (status >= 500 || status === 429 || status === 408)
          throw unavailable(new MattingError('unavailable', `The picture's host answered ${status}`))
        if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined) return undefined
        url = redirect(url, headers.location, hosts)
      } finally {
        response.destroy()
      }
    }
    return undefined
  } finally {
    clearTimeout(timer)
  }
}

/** Asks for no compression, so that Content-Length is the picture's size. */
function get(url: URL, lookup: Lookup, signal: AbortSignal): Promise<IncomingMessage> {
  const { protocol, hostname, pathname, search } = url
  const headers = { accept: 'image/*', 'accept-encoding': 'identity' }
  return send({ protocol, hostname, path: pathname + search, headers, agent: false, lookup: guard(lookup), signal })
}

/** Returns exactly the addresses that were checked: a second look-up of the name could lead elsewhere (DNS rebinding). */
function guard(lookup: Lookup): LookupFunction {
  return (host, options, done) =>
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, '')
      const [first] = addresses
      // All are checked, not only the first, because Node tries all of them.
      if (!first || !addresses.every(({ address }) => isPublic(address))) {
        return done(new MattingError('host-refused'), '')
      }
      // With autoSelectFamily Node wants all addresses, without it only one.
      return options.all ? done(null, addresses) : done(null, first.address, first.family)
    })
}

/** @throws MattingError host-refused */
function redirect(from: URL, location: string, hosts: readonly string[]): URL {
  try {
    const url = readExternal(new URL(location, from).href, hosts)
    if (from.protocol === 'http:' || url.protocol === 'https:') return url
  } catch (cause) {
    throw new MattingError('host-refused', undefined, { cause })
  }
  throw new MattingError('host-refused')
}

/** @throws MattingError not-an-image, too-large */
async function read(
  response: IncomingMessage,
  asked: URL,
  { href: url, origin, pathname }: URL,
  { maxBytes, memory }: LookOptions,
): Promise<Picture> {
  const { 'content-type': type, 'content-length': length, etag, 'last-modified': date } = response.headers
  if (type && !IMAGE.test(type)) throw new MattingError('not-an-image')
  if (Number(length) > maxBytes) throw new MattingError('too-large')
  const validator = etag || (length && date && `${date} ${length}`)
  const former = validator && createHash('sha256').update(`${pathname} ${validator}`).digest('hex')
  const record = memory && validator && recordKey(asked, origin + pathname, validator)
  let content = record ? await recall(memory, record) : undefined
  if (!memory && former && length) content = { sha256: former, size: Number(length) }
  if (!content) {
    content = await fetchAll(response, maxBytes)
    if (record) await remember(memory, record, content)
  }
  const { sha256, size } = content
  const version = (former || sha256).slice(0, 32)
  const modified = Date.parse(date ?? '') || 0
  return { key: elsewhereName(asked), url, etag: sha256, size, modified, asked: { url: asked.href, version } }
}

/** @throws MattingError too-large */
async function fetchAll(response: IncomingMessage, maxBytes: number): Promise<Content> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new MattingError('too-large')
    hash.update(chunk)
  }
  return { sha256: hash.digest('hex'), size }
}

function unavailable(cause: Error): MattingError {
  return new MattingError('unavailable', "The picture's host does not answer; try again.", { cause })
}
