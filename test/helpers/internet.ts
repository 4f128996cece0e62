import { spawnSync } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { type LookOptions, type Lookup, lookAt, readExternal } from '../../lib/external.ts'
import { divert } from './divert.ts'

export const PUBLIC = '93.184.215.14'
export const HOSTS = ['good.example', 'img.good.example']

/** A resolver that answers the n-th question, whatever the name, with the n-th list of addresses, or with the last. */
export function resolver(...answers: string[][]): Lookup & { asked: string[] } {
  const asked: string[] = []
  const lookup: Lookup = (host, { all }, done) => {
    const addresses = answers[Math.min(asked.push(host), answers.length) - 1] ?? []
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    setImmediate(() => done(null, all ? found : []))
  }
  return Object.assign(lookup, { asked })
}

export const failing =
  (code: string): Lookup =>
  (_, __, done) =>
    void setImmediate(() => done(Object.assign(new Error(code), { code }), []))

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A self-signed certificate and its key, made at each run; empty if there is no openssl. */
export const pem = spawnSync(
  'openssl',
  [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '-'],
    ...['-subj', '/CN=good.example', '-addext', 'subjectAltName=DNS:good.example,DNS:*.good.example'],
  ],
  { encoding: 'utf8' },
).stdout
if (!pem) console.warn('SKIPPED: pictures over https, because openssl is missing')

/** Starts an HTTP and an HTTPS server for the test. All connections to port 80 or 443 of any host lead to them. */
export async function internet(answer: Handler) {
  const seen: { url: string; headers: IncomingMessage['headers'] }[] = []
  let open = 0
  const handle: Handler = (request, response) => {
    seen.push({ url: `http://${request.headers.host}${request.url}`, headers: request.headers })
    answer(request, response)
  }
  const servers = [createServer(handle), pem ? createTlsServer({ key: pem, cert: pem }, handle) : createServer(handle)]
  for (const server of servers) {
    server.on('connection', (socket) => {
      open++
      socket.on('close', () => open--)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
  }
  const [http = 0, https = 0] = servers.map((server) => (server.address() as AddressInfo).port)
  const handed = divert({ 80: http, 443: https })
  return { seen, handed, open: () => open }
}

export function options(more: Partial<LookOptions> = {}): LookOptions {
  return {
    hosts: HOSTS,
    maxBytes: 1000,
    lookup: resolver([PUBLIC]),
    now: Date.now,
    deadline: Date.now() + 60_000,
    ...more,
  }
}

/** Looks at a picture by its URL, as the image function does. */
export async function see(text: string, more: Partial<LookOptions> = {}) {
  const given = options(more)
  return lookAt(readExternal(text, given.hosts), given)
}

export const IMAGE = { 'content-type': 'image/jpeg', 'content-length': '4', etag: '"1"' }
export const picture: Handler = (_, response) => void response.writeHead(200, IMAGE).end('abcd')
