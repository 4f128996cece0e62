import { expect, onTestFinished } from 'vitest'
import type { CloudOptions } from '../../local/cloud.ts'
import type { LiveEvents, Photo, PhotoAnswer, StepName, Story, UploadGrant } from '../../local/page/wire.ts'
import { startReceiver } from '../../local/receiver.ts'
import type { CosTrigger, FunctionSpec } from '../../local/scf/serverless.ts'
import { startTestCloud, type TestCloud } from './cloud.ts'

/** It holds what HTML, JSON, URLs and server-sent events would take for their own. */
export const NASTY = 'uploads/<img src=x onerror=alert(1)>\n\ndata: "a&b" 100%+#?.jpg'

export const EVENTS_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

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

/** What was said. Its JSON is believed to be a `T`, for what is in it is what is tested. */
export interface Said<T> {
  status: number
  headers: Headers
  text: string
  json: T
}

/** What is said of each request that is refused. */
export interface Refusal {
  error: string
}

export type Told = { [K in keyof LiveEvents]: { id: number; type: K; data: LiveEvents[K] } }[keyof LiveEvents]

export interface Listener {
  told: Told[]
  /** What was told of a type. */
  of: <K extends keyof LiveEvents>(type: K) => LiveEvents[K][]
  text: () => string
  end: () => void
}

export const query = (given: Record<string, string>) => `?${new URLSearchParams(given)}`

/** Speaks with the control port of a cloud, as its page does. */
export function createSpeaker(cloud: () => TestCloud) {
  async function ask<T = Refusal>(method: string, path: string, body?: unknown, headers = {}): Promise<Said<T>> {
    const sent = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const answer = await fetch(cloud().controlUrl + path, { ...sent, redirect: 'manual' })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type') === 'application/json'
    return { status: answer.status, headers: answer.headers, text, json: isJson ? JSON.parse(text) : undefined }
  }

  /** There is such a photo. */
  async function one(key: string): Promise<Photo> {
    const { photo } = (await ask<PhotoAnswer>('GET', `/api/photo${query({ key })}`)).json
    if (!photo) throw new Error(`There is no photo ${key}.`)
    return photo
  }

  const story = async (key: string) => (await ask<Story>('GET', `/api/story${query({ key })}`)).json
  const step = async (key: string, name: StepName) => (await story(key)).steps.find(({ step }) => step === name)
  const states = async (key: string) =>
    Object.fromEntries((await story(key)).steps.map(({ step, state }) => [step, state]))

  /** Grants an upload and uses it, as the page does. */
  async function send(body: Buffer, asked: object): Promise<{ granted: Said<UploadGrant>; put: Response }> {
    const granted = await ask<UploadGrant>('POST', '/api/uploads', { type: 'image/jpeg', size: body.length, ...asked })
    const { url, headers } = granted.json
    const put = await fetch(url, {
      method: 'PUT',
      headers: { ...headers, origin: cloud().controlUrl },
      body: new Uint8Array(body),
    })
    return { granted, put }
  }

  /** Listens until the test ends. */
  async function listen(headers = {}): Promise<Listener> {
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
          if (data !== undefined) told.push(JSON.parse(`{"id":${id},"type":"${type}","data":${data}}`))
          else expect(block).toMatch(/^retry: \d+$/)
        }
      }
    }
    read().catch(() => {})
    await expect.poll(() => told.length).toBeGreaterThan(0)
    return {
      told,
      of: (type) => told.filter((one) => isOf(one, type)).map(({ data }) => data),
      text: () => text,
      end: () => abort.abort(),
    }
  }
  /** Deploys the functions with other settings, until the test ends. */
  function deploy(change: (spec: FunctionSpec) => Partial<FunctionSpec>, triggers: Partial<CosTrigger> = {}): void {
    const { scf } = cloud()
    const before = scf.serverless()
    onTestFinished(() => scf.apply(before))
    scf.apply({
      ...before,
      functions: before.functions.map((spec) => ({ ...spec, ...change(spec) })),
      cosTriggers: before.cosTriggers.map((trigger) => ({ ...trigger, ...triggers })),
    })
  }
  const configure = (variables: Record<string, string>) =>
    deploy(({ environment }) => ({ environment: { ...environment, ...variables } }))

  return { ask, one, story, step, states, send, listen, deploy, configure }
}

function isOf<K extends keyof LiveEvents>(one: Told, type: K): one is Told & { data: LiveEvents[K] } {
  return one.type === type
}
