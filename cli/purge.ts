import PQueue from 'p-queue'
import type { Listed } from '../lib/answer.ts'
import { cutoutFolderOf, cutoutFolders, isVersionOf, sourceKey, splitCutout } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import type { Invocation } from '../lib/invocation.ts'
import { FAILURES, failureFolders, splitMark } from '../lib/pay/pay.ts'
import { remove } from '../lib/remove.ts'
import { isUnder, refuseKey } from '../lib/source.ts'
import { noteKey } from './garbage.ts'
import { count, size } from './gc.ts'
import { mayDelete, type Operator } from './operator.ts'
import { findPhotos } from './photos.ts'

const BATCH = 1_000
const AT_ONCE = 4

/**
 * Takes away all that was made of a photo, or of those of a folder (its name ends in `/`), of any version; never a photo, nor
 * a claim. @returns the exit code @throws MattingError bad-request: nothing was done
 */
export async function purge(operator: Operator, target: string): Promise<number> {
  const { config, terminal } = operator
  const why = target.endsWith('/')
    ? isUnder(target, config.sourcePrefixes)
      ? undefined
      : 'not in a source folder'
    : refuseKey(target, config.sourcePrefixes)
  if (why)
    throw new MattingError('bad-request', `${target}: ${why}. Source folders: ${config.sourcePrefixes.join(', ')}`)
  const invocation = operator.open(Number.POSITIVE_INFINITY)
  const { objects, bytes, cutouts: there, calls } = await survey(invocation, target)
  if (objects === 0) {
    if (terminal.json) console.log(JSON.stringify({ cutouts: 0 }))
    terminal.print(
      `Nothing is stored that was made of ${target}${target.endsWith('/') ? '' : '. If it is a folder, end it in /'}`,
    )
    return 0
  }
  terminal.say(
    `${target}: ${count(objects, 'object')}, ${size(bytes)}, among them ${count(there, 'cutout')}. To make them again takes ${count(calls, 'paid call')}.`,
  )
  terminal.say(
    `Redirects that are cached lead to nothing for up to ${config.redirectTtl * 2} s, URLs that were announced until the cutouts are made again. Claims stay: where a call is under way, the next request waits for it.`,
  )
  if (!(await mayDelete(terminal, `Delete ${count(objects, 'object')}?`, 'purge'))) return 0

  let isStopped = false
  const stop = () => {
    isStopped = true
  }
  process.once('SIGINT', stop)
  const queue = new PQueue({ concurrency: AT_ONCE })
  let cutouts = 0
  const begun = new Set<string>()
  let failure: unknown
  const take = async (source: string) => {
    try {
      if (isStopped || failure !== undefined) return
      const removed = await remove(source, invocation)
      cutouts += removed
      await invocation.store.delete(noteKey(config.cutoutPrefix, source))
    } catch (error) {
      failure ??= error
    } finally {
      begun.delete(source)
    }
  }
  try {
    for await (const { source } of madeOf(invocation, target)) {
      if (isStopped || failure !== undefined) break
      // All that was made of a photo is taken away at once.
      if (begun.has(source)) continue
      begun.add(source)
      await queue.onSizeLessThan(AT_ONCE)
      void queue.add(() => take(source))
    }
  } finally {
    await queue.onIdle()
    process.off('SIGINT', stop)
  }
  if (failure !== undefined) throw failure
  if (terminal.json) console.log(JSON.stringify({ cutouts }))
  terminal.print(`Deleted ${count(cutouts, 'cutout')} with all that belongs to ${cutouts === 1 ? 'it' : 'them'}.`)
  return isStopped ? 130 : 0
}

/** What is stored, and the calls that making it again takes: only what was made of photos that are there can be. */
async function survey(invocation: Invocation, target: string) {
  const { cos, config } = invocation
  const sum = { objects: 0, bytes: 0, cutouts: 0, calls: 0 }
  const wanted: { source: string; version: string }[] = []
  const settle = async () => {
    const there = await findPhotos(
      cos,
      config.sourcePrefixes,
      wanted.map(({ source }) => source),
    )
    for (const { source, version } of wanted.splice(0)) {
      const photo = there.get(source)
      if (photo && isVersionOf(version, photo.etag)) sum.calls++
    }
  }
  for await (const { source, version, object, isCutout } of madeOf(invocation, target)) {
    sum.objects++
    sum.bytes += object.size
    if (!isCutout) continue
    sum.cutouts++
    wanted.push({ source, version })
    if (wanted.length >= BATCH) await settle()
  }
  await settle()
  return sum
}

/** Goes through all cutouts, what belongs to them, and marks of a photo or of those of a folder. */
async function* madeOf(
  invocation: Invocation,
  target: string,
): AsyncGenerator<{ source: string; version: string; object: Listed; isCutout: boolean }> {
  const { config, cos, store } = invocation
  const { cutoutPrefix: prefix, sourcePrefixes } = config
  if (target.endsWith('/')) {
    const folder = cutoutFolderOf(prefix, target)
    for (const start of [folder, FAILURES + folder]) {
      for await (const object of store.list(start)) {
        const place = start === folder ? splitCutout(object.key) : splitMark(object.key)
        const source = place && sourceKey(prefix, place.folder)
        if (!source?.startsWith(target) || refuseKey(source, sourcePrefixes) !== undefined) continue
        yield {
          source,
          version: place?.version ?? '',
          object,
          isCutout: place?.isWhole ?? false,
        }
      }
    }
    // Their folders cannot be read back.
    for await (const { key } of cos.list(target))
      if (cutoutFolders(prefix, key).some((one) => one.startsWith(`${prefix}_long/`))) yield* madeOf(invocation, key)
    return
  }
  const own = cutoutFolders(prefix, target)
  for (const folder of [...own, ...failureFolders(prefix, target)]) {
    for await (const object of store.list(folder)) {
      const isOwn = own.includes(folder)
      const place = isOwn ? splitCutout(object.key) : splitMark(object.key)
      // Inside the folder of `a.jpg` there may be that of `a.jpg/b.jpg`.
      if (!place || (isOwn ? place.folder : FAILURES + place.folder) !== folder) continue
      yield { source: target, version: place.version, object, isCutout: place.isWhole }
    }
  }
}
