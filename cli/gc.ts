import { open } from 'node:fs/promises'
import PQueue from 'p-queue'
import { MattingError } from '../lib/errors.ts'
import type { Invocation } from '../lib/invocation.ts'
import { type Ages, checkPhotos, DAY, type Garbage, type Kept, KINDS, type Kind, redirectLife } from './garbage.ts'
import { mayDelete, type Operator } from './operator.ts'
import { findGarbage } from './records.ts'

/** Options of `gc`, in days. */
export interface GcOptions {
  cutouts: number
  claims: number
  receipts: number
}

export interface RunOptions extends GcOptions {
  limit: number
  /** A file to which the keys of what was deleted are added. */
  deleted?: string | undefined
  /** Goes on even if most photos are gone. */
  force: boolean
}

interface Sum {
  objects: number
  bytes: number
  /** ISO 8601; since when the longest, and the shortest, is of no use. */
  oldest: string
  newest: string
}

interface Survey {
  kinds: Partial<Record<Kind, Sum>>
  /** By the photos' folder. */
  folders: Record<string, Sum>
  kept: Record<Kept, number>
  photos: { there: number; gone: number }
}

/** More folders are counted as one, so that memory does not grow with their number. */
const MAX_FOLDERS = 1_000
const SHOWN = 20
const AT_ONCE = 16
const TOLD = 1_000

/** Tells what may go; deletes and writes nothing. */
export async function gcPlan(operator: Operator, options: GcOptions): Promise<void> {
  const survey = await look(operator, operator.open(Number.POSITIVE_INFINITY), options)
  if (operator.terminal.json) console.log(JSON.stringify(survey, null, 2))
  else show(operator, survey)
}

/** Deletes what may go. @returns the exit code @throws MattingError bad-request: nobody agreed, so nothing was done */
export async function gcRun(operator: Operator, options: RunOptions): Promise<number> {
  const { terminal, config } = operator
  const invocation = operator.open(Number.POSITIVE_INFINITY)
  const { kinds, photos, kept, folders } = await look(operator, invocation, options)
  if (photos.gone > photos.there && !options.force)
    throw new MattingError(
      'misconfigured',
      `Of ${photos.gone} photos that have cutouts none is in ${config.sourcePrefixes.join(', ')} of ${config.bucket}, more than the ${photos.there} that are. Nothing was done. If that is right, add --force.`,
    )
  if (!terminal.json) show(operator, { kinds, photos, kept, folders })
  const all = Object.values(kinds)
  const objects = all.reduce((sum, one) => sum + one.objects, 0)
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0)
  if (
    (objects > 0 || !terminal.isThere) &&
    !(await mayDelete(terminal, `Delete ${count(objects, 'object')}, ${size(bytes)}?`, 'gc run'))
  )
    return 0
  return sweep(operator, invocation, options)
}

async function sweep(operator: Operator, invocation: Invocation, options: RunOptions): Promise<number> {
  const { terminal } = operator
  const file = options.deleted === undefined ? undefined : await openFile(options.deleted)
  const done = new Map<Kind, { objects: number; bytes: number }>()
  let [begun, deleted] = [0, 0]
  let failure: unknown
  let isStopped = false
  const stop = () => {
    isStopped = true
    terminal.say('Stops when what was begun is done; run it again to go on.')
  }
  process.once('SIGINT', stop)
  const queue = new PQueue({ concurrency: AT_ONCE })
  const take = async ({ kind, key, record, size, check }: Garbage) => {
    try {
      if (isStopped || failure !== undefined || !(await check())) return void begun--
      await invocation.store.delete(key)
      if (record !== undefined) await invocation.store.delete(record)
      await file?.appendFile(`${key}\n`)
      const { objects, bytes } = done.get(kind) ?? { objects: 0, bytes: 0 }
      done.set(kind, { objects: objects + 1, bytes: bytes + size })
      if (++deleted % TOLD === 0) terminal.say(`${count(deleted, 'object')} deleted …`)
    } catch (error) {
      failure ??= error
    }
  }
  try {
    const witness = { kept() {}, photos() {}, note: true }
    for (const pass of findGarbage(invocation, ages(operator, options), witness)) {
      for await (const one of pass) {
        // Some may turn out to be of use.
        if (begun >= options.limit) await queue.onIdle()
        if (failure !== undefined || isStopped || begun >= options.limit) break
        begun++
        await queue.onSizeLessThan(AT_ONCE)
        void queue.add(() => take(one))
      }
      await queue.onIdle()
      if (failure !== undefined || isStopped || begun >= options.limit) break
    }
  } finally {
    await queue.onIdle()
    process.off('SIGINT', stop)
    await file?.close()
    const sums = KINDS.flatMap((kind) => (done.has(kind) ? [[kind, done.get(kind)] as const] : []))
    const bytes = [...done.values()].reduce((sum, one) => sum + one.bytes, 0)
    if (terminal.json) console.log(JSON.stringify({ deleted: Object.fromEntries(sums) }, null, 2))
    const told = sums.map(([kind, sum]) => `${sum?.objects} ${kind}`).join(', ')
    terminal.print(
      deleted === 0 ? 'Nothing was deleted.' : `Deleted ${count(deleted, 'object')}, ${size(bytes)}: ${told}.`,
    )
  }
  if (failure !== undefined) throw failure
  return isStopped ? 130 : 0
}

async function look(operator: Operator, invocation: Invocation, options: GcOptions): Promise<Survey> {
  await checkPhotos(invocation)
  const survey: Survey = {
    kinds: {},
    folders: {},
    kept: { young: 0, unnoted: 0, foreign: 0 },
    photos: { there: 0, gone: 0 },
  }
  const witness = {
    kept: (why: Kept) => void survey.kept[why]++,
    photos(there: number, gone: number) {
      survey.photos.there += there
      survey.photos.gone += gone
    },
    note: false,
  }
  let known = 0
  for (const pass of findGarbage(invocation, ages(operator, options), witness)) {
    for await (const { kind, size, since, folder } of pass) {
      survey.kinds[kind] = add(survey.kinds[kind], size, since)
      if (folder === '') continue
      const isKnown = Object.hasOwn(survey.folders, folder)
      const name = isKnown || known < MAX_FOLDERS ? folder : '(others)'
      if (!isKnown && name === folder) known++
      survey.folders[name] = add(survey.folders[name], size, since)
    }
  }
  return survey
}

function add(sum: Sum | undefined, size: number, since: number): Sum {
  const time = new Date(since).toISOString()
  const { objects, bytes, oldest, newest } = sum ?? { objects: 0, bytes: 0, oldest: time, newest: time }
  return {
    objects: objects + 1,
    bytes: bytes + size,
    oldest: time < oldest ? time : oldest,
    newest: time > newest ? time : newest,
  }
}

/** Whatever is asked for, no cutout goes to which a cached redirect may lead. */
function ages({ config }: Operator, { cutouts, claims, receipts }: GcOptions): Ages {
  return { cutouts: Math.max(cutouts * DAY, redirectLife(config)), claims: claims * DAY, receipts: receipts * DAY }
}

function show({ terminal }: Operator, { kinds, folders, kept, photos }: Survey): void {
  const row = (name: string, { objects, bytes, oldest, newest }: Sum) =>
    `${name.padEnd(24)} ${String(objects).padStart(8)} ${size(bytes).padStart(10)}  ${oldest.slice(0, 10)} to ${newest.slice(0, 10)}`
  const found = KINDS.flatMap((kind) => (kinds[kind] ? [row(NAMES[kind], kinds[kind])] : []))
  for (const line of found.length > 0 ? found : ['Nothing may go yet.']) terminal.print(line)
  const largest = Object.entries(folders).sort(([, a], [, b]) => b.bytes - a.bytes)
  if (largest.length > 0) terminal.print('By folder:')
  for (const [name, sum] of largest.slice(0, SHOWN)) terminal.print(row(name, sum))
  if (largest.length > SHOWN) terminal.print(`… and ${largest.length - SHOWN} more folders`)
  terminal.print(`Photos of which something is stored: ${photos.there + photos.gone}; gone: ${photos.gone}.`)
  if (kept.young > 0) terminal.print(`Not old enough: ${count(kept.young, 'object')}.`)
  if (kept.unnoted > 0)
    terminal.print(
      `Of photos whose absence gc run notes now, so that they age from now on: ${count(kept.unnoted, 'object')}.`,
    )
  if (kept.foreign > 0)
    terminal.print(
      `Left alone, for their photos are in no source folder or cannot be told: ${count(kept.foreign, 'object')}.`,
    )
  if (kinds.replaced || kinds.deleted)
    terminal.say(
      'URLs of these cutouts that were announced, or that pages hold, lead to nothing once they are deleted.',
    )
}

const NAMES: Record<Kind, string> = {
  replaced: 'of replaced photos',
  deleted: 'of deleted photos',
  marks: 'marks of these',
  frames: 'frames without cutout',
  claims: 'claims',
  receipts: 'receipts and tallies',
  notes: 'notes of absence',
}

/** A number of things, as people say it. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}

/** Bytes as people read them. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = bytes < 1_000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  return `${(bytes / 1_000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** @throws MattingError bad-request */
function openFile(path: string) {
  return open(path, 'a').catch(() => {
    throw new MattingError('bad-request', `--deleted: ${path} cannot be written. Nothing was done.`)
  })
}
