import { hash, randomUUID } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { readConfig } from '../../lib/config.ts'
import { createCos } from '../../lib/cos.ts'
import type { Invocation } from '../../lib/invocation.ts'
import type { PresignedUpload } from '../../lib/pay/pay.ts'
import { BUCKET, CREDENTIALS, REGION } from '../../local/cloud.ts'

/** Where COS is, and what the time is there. */
export interface Place {
  cosUrl: string
  clock: { now(): number }
}

/** What a server, or the one that signs for a browser, works with; its clock is the cloud's, and `skew` milliseconds. */
export function partsOf({ cosUrl, clock }: Place, settings: Record<string, string> = {}, skew = 0): Invocation {
  const bucket = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cosUrl, CLAIM_TIME: '6' }
  const now = () => clock.now() + skew
  const time = { now, random: Math.random }
  const cos = createCos({ endpoint: cosUrl, credentials: CREDENTIALS, ...time, deadline: Number.POSITIVE_INFINITY })
  const config = readConfig({ ...bucket, ...settings })
  const spent = { ms: new Map(), calls: 0 }
  return { config, cos, store: cos, uuid: randomUUID, spent, ...time, deadline: now() + 20_000 }
}

/** A browser's PUT. */
export function put({ url, headers }: PresignedUpload, body: Buffer, more: Record<string, string> = {}) {
  return fetch(url, { method: 'PUT', headers: { ...headers, ...more }, body: new Uint8Array(body) })
}

/**
 * A PUT whose signature COS has verified, whose body is the caller's to end, and the status of its answer; none if it was cut off, or
 * if there is an error in a 200.
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
