import { access, constants, mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { imageUrl } from '../lib/access.ts'
import { readConfig } from '../lib/config.ts'
import { createCos } from '../lib/cos.ts'
import { decode } from '../lib/spelling.ts'
import { createClock } from './clock.ts'
import { BUCKET, type Cloud, CREDENTIALS, REGION, startCloud } from './cloud.ts'
import { startReceiver } from './receiver.ts'
import { drawSample } from './sample.ts'
import { WAYS } from './scf/variables.ts'

/** Of the events that `--events` shows. */
const EVENTS_SECRET = `whsec_${Buffer.from('a secret of this machine alone').toString('base64')}`

const USAGE = `npm start -- [options]
  --port N           COS on N, image URLs on N+1, control API on N+2 (4510)
  --data DIR         where objects, events and the bill are kept (.cloud)
  --set NAME=VALUE   a variable of the functions, over what serverless.yml says; may be repeated
  --events           receive the functions' events, on N+3, and print them
  --no-sample        do not put a sample photo
  --retry-delay S    seconds before an event is delivered again; the vendor waits 60 (1)
  --event-keys FORM  how keys stand in events: encoded or raw (encoded)
  --host NAME=PORT   a host whose pictures are served by this machine on PORT, for DETECT_HOSTS; may be repeated
  --last-modified W  what Last-Modified of an upload marks: its start or its end (end)
  --origin URL       a web page's origin that may use COS and image URLs, as http://localhost:8080; may be repeated
  --paths FORM       how paths stand in function-URL events: raw or decoded (raw)
  --variables WAY    how the functions get their variables: process, context or split (process)`

async function main(): Promise<void> {
  const options = readOptions()
  if (!options) return console.log(USAGE)
  await mkdir(options.data, { recursive: true })
  await access(options.data, constants.W_OK)
  const { port } = options
  const clock = createClock()
  const receiver =
    options.events &&
    (await startReceiver({ port: port && port + 3, secret: EVENTS_SECRET, print: console.log, now: clock.now }))
  const environment = { ...options.environment, ...(receiver && { EVENTS_URL: receiver.url, EVENTS_SECRET }) }
  const cloud = await startCloud({ ...options, environment, clock })
  if (cloud.misconfigured) {
    await cloud.close()
    throw new Error(`The functions are misconfigured:\n${cloud.misconfigured}`)
  }
  // The receiver ends with the process: until then the functions may need it.
  const stop = () => cloud.close().finally(() => process.exit(0))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  console.log(`
COS          ${cloud.cosUrl}
             bucket ${BUCKET}, region ${REGION}, ${CREDENTIALS.secretId} / ${CREDENTIALS.secretKey}; kept in ${options.data}
images       ${cloud.imageUrl}/<layout>/<key>
control API  ${cloud.controlUrl}/api/bill`)
  if (receiver) console.log(`events       ${receiver.url} gets them, signed with ${EVENTS_SECRET}`)
  if (options.sample) await tryIt(cloud, environment)
  console.log('\nCtrl-C ends it.')
}

/** Puts a sample and tells what happened to it. */
async function tryIt(cloud: Cloud, { ACCESS, URL_KEYS = '' }: Record<string, string>): Promise<void> {
  const { cosUrl, cos, scf } = cloud
  const source = 'uploads/mug.jpg'
  const client = createCos({
    endpoint: cosUrl,
    credentials: CREDENTIALS,
    deadline: Date.now() + 60_000,
    now: Date.now,
    random: Math.random,
  })
  const before = cos.bill().length
  const { jpeg } = await drawSample('mug')
  await client.put(source, jpeg, { type: 'image/jpeg' })
  console.log(
    `\nsource       ${source}, ${kilobytes(jpeg.length)}: put into the bucket, which triggers the upload function`,
  )
  await scf.idle()
  const paid = cos.bill().length - before
  const last = scf.invocations().at(-1)
  const { cutouts = [], why, message } = Object(JSON.parse(last?.logs.at(-1) ?? '{}'))
  for (const key of cutouts) {
    // Not in CUTOUT_BUCKET.
    const head = await client.head(key)
    console.log(`cutout       ${key}${head ? `, ${kilobytes(head.size)}` : ''}`)
  }
  if (cutouts.length === 0) {
    console.log(`cutout       none: ${why ?? message ?? last?.error ?? 'serverless.yml has no trigger for it'}`)
    return
  }
  console.log(`calls paid   ${paid}${paid === 0 ? ': the cutout of this photo was already there' : ''}`)
  const [, id, secret] = /^\s*([^:]+):([^,\s]+)/.exec(decode(URL_KEYS)) ?? []
  const grant = { layout: 'plain', key: source, expires: Math.floor(Date.now() / 1000) + 3_600 }
  const signed = ACCESS === 'signed' && id && secret
  console.log(
    `image URL    ${signed ? imageUrl(cloud.imageUrl, grant, id, secret) : `${cloud.imageUrl}/plain/${source}`}`,
  )
}

function kilobytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024)} kB`
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '4510' },
      data: { type: 'string', default: '.cloud' },
      events: { type: 'boolean', default: false },
      'no-sample': { type: 'boolean', default: false },
      'retry-delay': { type: 'string', default: '1' },
      'event-keys': { type: 'string', default: 'encoded' },
      'last-modified': { type: 'string', default: 'end' },
      paths: { type: 'string', default: 'raw' },
      variables: { type: 'string', default: 'process' },
      set: { type: 'string', multiple: true, default: [] },
      host: { type: 'string', multiple: true, default: [] },
      origin: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  return {
    port: number(values.port, '--port', 0, 65_532),
    data: resolve(values.data),
    environment: Object.fromEntries(values.set.map(readSetting)),
    events: values.events,
    sample: !values['no-sample'],
    retryDelay: number(values['retry-delay'], '--retry-delay', 0, 3_600) * 1000,
    eventKeys: oneOf(values['event-keys'], '--event-keys', ['encoded', 'raw']),
    lastModified: oneOf(values['last-modified'], '--last-modified', ['start', 'end']),
    hosts: new Map(values.host.map(readHost)),
    origins: values.origin.map(readOrigin),
    paths: oneOf(values.paths, '--paths', ['raw', 'decoded']),
    variables: oneOf(values.variables, '--variables', WAYS),
  }
}

function number(text: string, name: string, min: number, max: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= min && value <= max))
    throw new Error(`${name}: expected a number, ${min} to ${max}`)
  return value
}

function readSetting(text: string): [name: string, value: string] {
  const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new Error(`--set: expected NAME=VALUE, not ${text}`)
  // A misspelt ACCESS would leave everything open.
  if (!variables().has(name))
    throw new Error(`--set: there is no variable ${name}; there are ${[...variables()].join(', ')}`)
  return [name, value]
}

/** The names of all variables that are read. */
function variables(): Set<string> {
  const names = new Set<string>()
  const place: Record<string, string> = { COS_BUCKET: BUCKET, COS_REGION: REGION }
  const get = (env: typeof place, name: string | symbol) => {
    names.add(String(name))
    return Reflect.get(env, name)
  }
  readConfig(new Proxy(place, { get }))
  return names
}

function readHost(text: string): [name: string, port: number] {
  const [name = '', port = ''] = text.split('=')
  return [name, number(port, '--host NAME=PORT', 1, 65_535)]
}

/** As browsers write it in the header. */
function readOrigin(text: string): string {
  const { protocol, origin, href } = URL.canParse(text) ? new URL(text) : new URL('about:blank')
  if (/^https?:$/.test(protocol) && href === `${origin}/`) return origin
  throw new Error(`--origin: expected http(s)://host or http(s)://host:port, not ${text}`)
}

function oneOf<T extends string>(text: string, name: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text)
  if (choice === undefined) throw new Error(`${name}: expected ${choices.join(' or ')}`)
  return choice
}

/** One line that says what to do. */
function explain(error: unknown): string {
  const { code, port, path, message } = Object(error)
  if (code === 'EADDRINUSE') return `Port ${port} is in use; choose free ones with --port N.`
  if (code === 'EACCES' && port !== undefined) return `Port ${port} is not allowed; choose another with --port N.`
  if (['EACCES', 'EROFS', 'EPERM', 'ENOTDIR', 'ENOENT', 'EEXIST', 'ENOSPC'].includes(code))
    return `Cannot write to ${path}; choose a folder with --data DIR.`
  return String(message ?? error)
}

main().catch((error: unknown) => {
  console.error(explain(error))
  process.exit(1)
})
