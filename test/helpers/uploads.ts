import { hash, randomUUID } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { readConfig } from '../../lib/config.ts'
import { createInvocation, type Invocation } from '../../lib/invocation.ts'
import type { PresignedUpload } from '../../lib/pay/pay.ts'
import { BUCKET, CREDENTIALS, REGION } from '../../local/cloud.ts'

/** The address of a COS, and its clock. */
export interface Place {
  cosUrl: string
  clock: { now(): number }
}

/**
 * The invocation of a server that uploads, or signs uploads for browsers. Its clock is `skew` milliseconds ahead of the
 * cloud's.
 */
export function partsOf({ cosUrl, clock }: Place, settings: Record<string, string> = {}, skew = 0): Invocation {
  const bucket = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cosUrl, CLAIM_TIME: '6' }
  const now = () => clock.now() + skew
  const time = { now, random: Math.random }
  const config = readConfig({ ...bucket, ...settings })
  // The clients have no deadline, because a test may move the clock while a request is held.
  const clients = { credentials: CREDENTIALS, ...time, uuid: randomUUID, deadline: Number.POSITIVE_INFINITY }
  return { ...createInvocation(config, clients), deadline: now() + 20_000 }
}

/** PUTs a photo as a browser does. */
export function put({ url, headers }: PresignedUpload, body: Buffer, more: Record<string, string> = {}) {
  return fetch(url, { method: 'PUT', headers: { ...headers, ...more }, body: new Uint8Array(body) })
}

/**
 * Begins a PUT and waits until COS has accepted its signature. The caller sends and ends the body. `status` is that of the
 * answer; undefined if the connection was reset or a 200 held an error.
 */
export async function begin({ url, headers }: PresignedUpload, body: Buffer) {
  const { hostname, port, pathname, search } = new URL(url)
  const all = { ...headers, 'content-length': body.length, expect: '100-continue' }
  const put = httpRequest({ hostname, port, path: pathname + search, method: 'PUT', headers: all, agent: false })
  const status = new Promise<number | undefined>((resolve) => {
    put.on('error', () => resolve(undefined))
    put.on('response', async (answer) => {
      const answered = await text(answer).catch(() => '<Error>')
      resolve(answer.statusCode === 200 && answered.includes('<Error>') ? undefined : answer.statusCode)
    })
  })
  const ready = new Promise((resolve) => put.on('continue', resolve))
  put.flushHeaders()
  await Promise.race([ready, status])
  return { put, status }
}

export function md5(body: Buffer): string {
  return hash('md5', body)
}
