import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createClock } from '../local/clock.ts'
import type { ObjectEvent } from '../local/cos/cos.ts'
import { cosEvent } from '../local/scf/event.ts'
import { createFunction, type FunctionOptions, type InvocationRecord } from '../local/scf/function.ts'
import { createQueue } from '../local/scf/queue.ts'
import { type FunctionSpec, readServerless } from '../local/scf/serverless.ts'
import { createUrlServer } from '../local/scf/url.ts'
import type { Way } from '../local/scf/variables.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'scf-'))
  cleanups.push(() => rm(dir, { recursive: true, force: true }))
  return dir
}

function probe(options: Partial<FunctionOptions> = {}, timeout = 60) {
  const runs: InvocationRecord[] = []
  const spec: FunctionSpec = {
    name: 'probe',
    handler: 'probe.main_handler',
    timeout,
    memory: 128,
    environment: { GREETING: 'hello' },
  }
  const made = createFunction({
    spec,
    dist: new URL('fixtures/functions/', import.meta.url),
    instances: 2,
    role: () => ({}),
    skew: () => 0,
    clock: createClock(),
    onInvocation: (run) => runs.push(run),
    ...options,
  })
  cleanups.push(() => made.kill())
  return { ...made, runs, spec }
}

describe('a function', () => {
  it('starts cold once, then is warm; its environment is that of serverless.yml and no more', async () => {
    const { invoke, runs } = probe()
    expect(await invoke({ a: 1 })).toMatchObject({
      served: 1,
      event: { a: 1 },
      env: { GREETING: 'hello', TENCENTCLOUD_RUNENV: 'SCF' },
    })
    const second = Object(await invoke({}))
    expect(second.served).toBe(2)
    expect(second.env).not.toHaveProperty('PATH')
    expect(second.context).toMatchObject({ function_name: 'probe', time_limit_in_ms: 60_000, memory_limit_in_mb: 128 })
    expect(second.left).toBeLessThanOrEqual(60_000)
    expect(runs.map(({ cold, instance, outcome }) => [cold, instance, outcome])).toEqual([
      [true, 1, 'ok'],
      [false, 1, 'ok'],
    ])
  })

  it('has the local cloud’s clock, also when that is moved, but for its time limit', async () => {
    const clock = createClock()
    const { invoke } = probe({ clock })
    await invoke({})
    clock.advance(3_600_000)
    const began = clock.now()
    const { now, left } = Object(await invoke({}))
    expect(now).toBeGreaterThanOrEqual(began)
    expect(now).toBeLessThanOrEqual(clock.now())
    expect(left).toBeGreaterThan(0)
  })

  it('gets its role’s credentials anew with every invocation', async () => {
    let n = 0
    const { invoke } = probe({ role: () => ({ TENCENTCLOUD_SECRETID: `id-${++n}` }) })
    expect(await invoke({})).toMatchObject({ env: { TENCENTCLOUD_SECRETID: 'id-1' } })
    expect(await invoke({})).toMatchObject({ served: 2, env: { TENCENTCLOUD_SECRETID: 'id-2' } })
  })

  it('gets its variables in the way that is set', async () => {
    let n = 0
    const role = () => ({ TENCENTCLOUD_SECRETID: `id-${++n}` })
    const environment = { GREETING: 'hello=you;there;B=1=2' }
    const spec = { name: 'probe', handler: 'probe.main_handler', timeout: 5, memory: 128, environment }
    const told = async (variables: Way) => Object(await probe({ spec, role, variables }).invoke({}))
    const environ = (id: number) => `GREETING=hello=you;there;B=1=2;TENCENTCLOUD_SECRETID=id-${id}`

    const process = await told('process')
    expect(process.env).toMatchObject({ ...environment, TENCENTCLOUD_SECRETID: 'id-1' })
    for (const name of ['environment', 'environ']) expect(process.context).not.toHaveProperty(name)

    const context = await told('context')
    expect(context.env).toMatchObject({ TENCENTCLOUD_SECRETID: 'id-2', TENCENTCLOUD_RUNENV: 'SCF' })
    expect(context.env).not.toHaveProperty('GREETING')
    expect(context.context.environ).toBe(environ(3))
    expect(JSON.parse(context.context.environment)).toEqual({ ...environment, TENCENTCLOUD_SECRETID: 'id-3' })

    const split = await told('split')
    // As `process.env[name] = undefined` has it.
    expect(split.env).toMatchObject({ GREETING: 'hello', there: 'undefined', B: '1', TENCENTCLOUD_SECRETID: 'id-4' })
    expect(split.context.environ).toBe(environ(4))
    expect(split.context).not.toHaveProperty('environment')
  })

  it('serves one request at a time in an instance, and has no more instances than allowed', async () => {
    const { invoke, runs } = probe()
    await Promise.all(Array.from({ length: 6 }, () => invoke({ todo: 'wait' })))
    expect(runs).toHaveLength(6)
    expect(new Set(runs.map(({ instance }) => instance))).toEqual(new Set([1, 2]))
  })

  it.each([
    ['throw', 'error', 'TypeError: as told'],
    ['exit', 'crash', 'The instance ended'],
    ['hang', 'timeout', 'Invoking task timed out after 1 seconds'],
    ['block', 'timeout', 'Invoking task timed out after 1 seconds'],
  ])('that is told to %s ends in %s, and the next request is served', async (todo, outcome, error) => {
    const { invoke, runs, spec } = probe({}, outcome === 'timeout' ? 1 : 60)
    await expect(invoke({ todo })).rejects.toThrow(error)
    expect(runs[0]).toMatchObject({ outcome, error })
    spec.timeout = 60
    expect(await invoke({})).toMatchObject({ served: todo === 'throw' ? 2 : 1 })
  })

  it('has its log lines when it has ended, and none of them is credited to the next invocation', async () => {
    const ended: string[][] = []
    const { invoke } = probe({ instances: 1, onEnd: ({ logs }) => ended.push([...logs]) })
    const todo = Array.from({ length: 20 }, (_, i) => (i % 2 ? 'nothing' : 'log'))
    await Promise.all(todo.map((todo) => invoke({ todo })))
    expect(ended).toEqual(todo.map((one) => (one === 'log' ? ['a line'] : [])))
  })
})

describe('the queue', () => {
  it('delivers again twice, then keeps a dead letter', async () => {
    const tries: number[] = []
    const queue = await createQueue({
      dir: await folder(),
      retries: 2,
      retryDelay: 1,
      clock: createClock(),
      invoke: async (_, __, retry) => {
        tries.push(retry)
        throw new Error('no')
      },
    })
    await queue.push('probe', { a: 1 })
    await queue.idle()
    expect(tries).toEqual([0, 1, 2])
    // As SCF writes it (product/583/39704).
    const [{ id: RequestId, ...letter } = { id: '' }] = queue.deadLetters()
    expect(letter).toEqual({
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      function: 'probe',
      RequestId,
      ErrorCode: -1,
      ErrorMessage: 'Error: no',
      Body: {
        FunctionName: 'probe',
        Namespace: 'default',
        Qualifier: '$DEFAULT',
        ClientContext: '{"a":1}',
        RequestId,
      },
    })
  })

  it('promise 3: loses nothing when it ends in the middle, and keeps its dead letters', async () => {
    const dir = await folder()
    const options = { dir, retries: 0, retryDelay: 1, clock: createClock() }
    const first = await createQueue({ ...options, invoke: () => Promise.reject(new Error('no')) })
    await first.push('probe', 'dead')
    await first.idle()
    await first.close()
    await first.push('probe', 'waits')
    const delivered: unknown[] = []
    const second = await createQueue({ ...options, invoke: async (_, event) => delivered.push(event) })
    await second.idle()
    expect(delivered).toEqual(['waits'])
    expect(second.deadLetters()).toEqual(first.deadLetters())
    expect(second.deadLetters()).toHaveLength(1)
    const third = await createQueue({ ...options, invoke: async (_, event) => delivered.push(event) })
    await third.idle()
    expect(delivered).toEqual(['waits'])
  })
})

describe('the function URL', () => {
  async function ask(paths: 'raw' | 'decoded', path: string, method = 'GET', body = '') {
    const server = createUrlServer(
      (event) =>
        probe({ spec: { name: 'probe', handler: 'probe.answer', timeout: 60, memory: 128, environment: {} } }).invoke(
          event,
        ),
      paths,
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => server.close())
    const { port } = server.address() as AddressInfo
    return new Promise<{ status: number; header: string; body: string }>((resolve, reject) => {
      const outgoing = request({ port, path, method, headers: { 'X-Asked': 'a' } }, async (response) => {
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        resolve({
          status: response.statusCode ?? 0,
          header: String(response.headers['x-test'] ?? response.headers['content-type']),
          body: text,
        })
      })
      outgoing.on('error', reject).end(body)
    })
  }

  it('makes the documented event, and no field more', async () => {
    const { status, header, body } = await ask('raw', '/a%20b//c?x=1&y=%26', 'POST', 'text')
    expect([status, header]).toEqual([201, 'yes'])
    const event = JSON.parse(body)
    expect(Object.keys(event).sort()).toEqual(['body', 'headers', 'httpMethod', 'path', 'queryString'])
    expect(event).toMatchObject({
      body: 'text',
      httpMethod: 'POST',
      path: '/a%20b//c',
      queryString: { x: '1', y: '&' },
      headers: { 'x-asked': 'a' },
    })
  })

  it('can hand over the path decoded', async () => {
    expect(JSON.parse((await ask('decoded', '/a%20b%3F')).body)).toMatchObject({ path: '/a b?' })
  })

  it('takes an answer without a statusCode as JSON', async () => {
    expect(await ask('raw', '/plain')).toEqual({ status: 200, header: 'application/json', body: '{"any":"json"}' })
  })

  it('answers 500 when the function is broken', async () => {
    const server = createServer()
    cleanups.push(() => server.close())
    const broken = createUrlServer(() => Promise.reject(new Error('broken')), 'raw')
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => broken.close())
    const answer = await fetch(`http://127.0.0.1:${(broken.address() as AddressInfo).port}/`)
    expect(answer.status).toBe(500)
    expect(await answer.json()).toEqual({ errorCode: 1, errorMessage: 'broken' })
  })
})

describe('the object event', () => {
  const event: ObjectEvent = {
    kind: 'created',
    via: 'Put',
    bucket: 'photos-1250000000',
    region: 'ap-guangzhou',
    key: 'uploads/a b+红.jpg',
    size: 7,
    etag: 'e',
    meta: { 'x-cos-meta-a': 'b' },
    requestId: 'id',
    authorization: 'q-sign-algorithm=sha1',
    at: 1_700_000_000_000,
  }

  it('has the shape and the oddities of the vendor’s', () => {
    expect(cosEvent(event, 'encoded')).toMatchObject({
      Records: [
        {
          cos: {
            cosObject: {
              key: '/1250000000/photos/uploads/a%20b%2B%E7%BA%A2.jpg',
              size: 7,
              vid: '',
              meta: { 'x-cos-meta-a': 'b' },
            },
            cosBucket: { name: 'photos', appid: '1250000000', region: 'gz' },
            cosNotificationId: 'unkown',
          },
          event: {
            eventName: 'cos:ObjectCreated:Put',
            eventTime: 1_700_000_000,
            requestParameters: { requestHeaders: { Authorization: 'q-sign-algorithm=sha1' } },
          },
        },
      ],
    })
    expect(cosEvent(event, 'raw')).toMatchObject({
      Records: [{ cos: { cosObject: { key: '/1250000000/photos/uploads/a b+红.jpg' } } }],
    })
  })
})

describe('serverless.yml', () => {
  it('is read as it will be deployed', async () => {
    const { functions, cosTriggers, urls } = await readServerless(new URL('../serverless.yml', import.meta.url), {
      COS_BUCKET: 'b-1',
      COS_REGION: 'ap-guangzhou',
      SOURCE_PREFIXES: 'uploads/',
    })
    expect(functions.map(({ name, handler }) => [name, handler])).toEqual([
      ['upload', 'upload.main_handler'],
      ['image', 'image.main_handler'],
    ])
    expect(functions[0]?.environment).toEqual(functions[1]?.environment)
    expect(functions[0]?.environment).toEqual({
      COS_BUCKET: 'b-1',
      COS_REGION: 'ap-guangzhou',
      SOURCE_PREFIXES: 'uploads/',
    })
    expect(cosTriggers).toEqual([
      {
        function: 'upload',
        bucket: 'b-1.cos.ap-guangzhou.myqcloud.com',
        events: 'cos:ObjectCreated:*',
        prefix: 'uploads/',
        suffix: '',
      },
      {
        function: 'upload',
        bucket: 'b-1.cos.ap-guangzhou.myqcloud.com',
        events: 'cos:ObjectRemove:*',
        prefix: 'uploads/',
        suffix: '',
      },
    ])
    expect(urls).toEqual(['image'])
  })

  it.each([
    ['component: scf', 'component must be multi-scf'],
    ['component: multi-scf\nstage: dev', 'app must be a string'],
    [
      'component: multi-scf\nstage: dev\napp: a\nname: n\ninputs: {functions: {}, triggers: [{type: cos, function: x}]}',
      'unknown function x',
    ],
    [
      'component: multi-scf\nstage: dev\napp: a\nname: n\ninputs: {functions: {f: {handler: a.b}}, triggers: [{type: timer, function: f, parameters: {}}]}',
      'no trigger of type timer',
    ],
    [
      'component: multi-scf\nstage: dev\napp: a\nname: n\ninputs: {functions: {f: {handler: a.b, environments: [{key: A, value: "\u0024{env:B}.x"}]}}}',
      '\u0024{env:B} is not set',
    ],
  ])('says what is wrong with %j', async (text, message) => {
    const file = join(await folder(), 'serverless.yml')
    await writeFile(file, text)
    await expect(readServerless(file, {})).rejects.toThrow(message)
  })
})
