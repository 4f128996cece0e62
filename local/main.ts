import { access, constants, mkdir } from 'node:fs/promises'
import { styleText } from 'node:util'
import { createCos } from '../lib/cos.ts'
import { createClock } from './clock.ts'
import { BUCKET, type Cloud, CREDENTIALS, REGION, startCloud } from './cloud.ts'
import { readOptions, USAGE } from './options.ts'
import { kilobytes } from './page/size.ts'
import { addressOf } from './put.ts'
import { startReceiver } from './receiver.ts'
import { drawSample } from './sample.ts'
import { type Line, lines, type Tone } from './talk.ts'

const SAMPLE = 'uploads/mug.jpg'
/** Signs the events that `--events` shows. */
const EVENTS_SECRET = `whsec_${Buffer.from('a secret of this machine alone').toString('base64')}`

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (!options) return console.log(USAGE)
  await mkdir(options.data, { recursive: true })
  await access(options.data, constants.W_OK)
  const { port } = options
  const clock = createClock()
  const receiver =
    options.events &&
    (await startReceiver({ port: port && port + 3, secret: EVENTS_SECRET, print: console.log, now: clock.now }))
  const environment: Record<string, string> = {
    ...options.environment,
    ...(receiver && { EVENTS_URL: receiver.url, EVENTS_SECRET }),
  }
  if (options.model) console.log(`Trying ${options.model.file} on a picture.`)
  const cloud = await startCloud({ ...options, environment, clock, ...(receiver && { receiver }) })
  if (cloud.misconfigured) {
    await cloud.close()
    throw new Error(`The functions are misconfigured:\n${cloud.misconfigured}`)
  }
  // The receiver is not closed before the process ends, because running functions may still send to it.
  const stop = () => cloud.close().finally(() => process.exit(0))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  console.log(`
page         ${cloud.controlUrl}/
COS          ${cloud.cosUrl}
             bucket ${BUCKET}, region ${REGION}, ${CREDENTIALS.secretId} / ${CREDENTIALS.secretKey}; kept in ${options.data}
images       ${cloud.imageUrl}/<layout>/<key>
control API  ${cloud.controlUrl}/api/bill
engine       ${cloud.engine === 'own' ? "the local cloud's own, for plain backdrops; --model takes a network" : cloud.engine}`)
  if (options.empty)
    console.log(`management   ${cloud.apiUrl}, the API of scf, cam and cls: what is deployed there runs`)
  if (receiver) console.log(`events       ${receiver.url} receives them, signed with ${EVENTS_SECRET}`)
  let trying = options.sample
  // What becomes of the sample is told below.
  const isNews = ({ text }: Line) => !trying || !text.startsWith(`photo        ${SAMPLE} `)
  if (!options.quiet) cloud.scf.watch((told) => lines(told).filter(isNews).forEach(print))
  if (options.sample) await tryIt(cloud, environment)
  trying = false
  const folder = environment.SOURCE_PREFIXES ?? 'uploads/'
  if (options.sample) console.log(`your own     curl -T photo.jpg ${cloud.controlUrl}/${folder.split(',')[0]}`)
  console.log('\nCtrl-C ends the local cloud.')
}

const COLOURS: Readonly<Record<Tone, Parameters<typeof styleText>[0]>> = {
  made: 'green',
  there: 'dim',
  refused: 'yellow',
  failed: 'red',
}

function print({ tone, text }: Line): void {
  // It heeds NO_COLOR and FORCE_COLOR.
  console.log(process.stdout.hasColors?.() ? styleText(COLOURS[tone], text) : text)
}

/** Puts a sample photo, and prints what became of it. */
async function tryIt(cloud: Cloud, environment: Record<string, string>): Promise<void> {
  const { cosUrl, cos, scf } = cloud
  const source = SAMPLE
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
  const last = scf.invocations().findLast(({ logs }) => logs.some((line) => line.includes(JSON.stringify(source))))
  const { cutouts = [], why, message } = Object(JSON.parse(last?.logs.at(-1) ?? '{}'))
  for (const key of cutouts) {
    // It is not there if CUTOUT_BUCKET is set.
    const head = await client.head(key)
    console.log(`cutout       ${key}${head ? `, ${kilobytes(head.size)}` : ''}`)
  }
  if (cutouts.length === 0) {
    console.log(`cutout       none: ${why ?? message ?? last?.error ?? 'serverless.yml has no trigger for it'}`)
    return
  }
  console.log(`calls paid   ${paid}${paid === 0 ? ': the cutout of this photo was already there' : ''}`)
  console.log(`image URL    ${addressOf(cloud.imageUrl, environment, source, cloud.clock.now())}`)
}

/** One line that says what went wrong and what to do. */
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
