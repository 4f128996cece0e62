import { expect, onTestFinished } from 'vitest'
import type { CloudOptions } from '../../local/cloud.ts'
import { startReceiver } from '../../local/receiver.ts'
import { startTestCloud, type TestCloud } from './cloud.ts'

/** It holds what HTML, JSON, URLs and server-sent events would take for their own. */
export const NASTY = 'uploads/<img src=x onerror=alert(1)>\n\ndata: "a&b" 100%+#?.jpg'

const EVENTS_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

/** Starts a cloud that announces to a receiver of its own, as `npm start -- --events` does; ON_DELETE is `remove`. */
export async function startInside(
  variables: Record<string, string> = {},
  options: Pick<CloudOptions, 'clock'> = {},
): Promise<TestCloud> {
  const time = options.clock && { now: options.clock.now }
  const receiver = await startReceiver({ port: 0, secret: EVENTS_SECRET, print: () => {}, ...time })
  const environment = { EVENTS_URL: receiver.url, EVENTS_SECRET, ON_DELETE: 'remove', ...variables }
  const cloud = await startTestCloud({ ...options, environment, receiver })
  return {
    ...cloud,
    async close() {
      await cloud.close()
      receiver.close()
    },
  }
}

export interface Said {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: what was said is what is tested
  json: any
}

export interface Told {
  id: number
  type: string
  // biome-ignore lint/suspicious/noExplicitAny: what was told is what is tested
  data: any
}

export const query = (given: Record<string, string>) => `?${new URLSearchParams(given)}`

/** Speaks with the control port of a cloud, as its page does. */
export function createSpeaker(cloud: () => TestCloud) {
  async function ask(method: string, path: string, body?: unknown, headers = {}): Promise<Said> {
    const sent = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const answer = await fetch(cloud().controlUrl + path, { ...sent, redirect: 'manual' })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type') === 'application/json'
    return { status: answer.status, headers: answer.headers, text, json: isJson ? JSON.parse(text) : undefined }
  }

  const one = async (key: string) => (await ask('GET', `/api/photo${query({ key })}`)).json
  const story = async (key: string) => (await ask('GET', `/api/story${query({ key })}`)).json
  const states = async (key: string) =>
    Object.fromEntries((await story(key)).steps.map(({ step, state }: Record<string, string>) => [step, state]))

  /** Grants an upload and uses it, as the page does. */
  async function send(body: Buffer, asked: object): Promise<{ granted: Said; put: Response }> {
    const granted = await ask('POST', '/api/uploads', { type: 'image/jpeg', size: body.length, ...asked })
    const { url, headers } = granted.json
    const put = await fetch(url, {
      method: 'PUT',
      headers: { ...headers, origin: cloud().controlUrl },
      body: new Uint8Array(body),
    })
    return { granted, put }
  }

  /** Listens until the test ends. */
  async function listen(
    headers = {},
  ): Promise<{ told: Told[]; of: (type: string) => Told['data'][]; text: () => string; end: () => void }> {
    const abort = new AbortController()
    onTestFinished(() => abort.abort())
    const answer = await fetch(`${cloud().controlUrl}/api/live`, { headers, signal: abort.signal })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    let [text, rest] = ['', '']
    const told: Told[] = []
    const read = async () => {
      for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) {
          const [, id, type, data] = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(block) ?? []
          if (data !== undefined) told.push({ id: Number(id), type: type ?? '', data: JSON.parse(data) })
          else expect(block).toMatch(/^retry: \d+$/)
        }
      }
    }
    read().catch(() => {})
    await expect.poll(() => told.length).toBeGreaterThan(0)
    return {
      told,
      of: (type) => told.filter((one) => one.type === type).map(({ data }) => data),
      text: () => text,
      end: () => abort.abort(),
    }
  }
  return { ask, one, story, states, send, listen }
}
