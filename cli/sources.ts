import { createReadStream } from 'node:fs'
import { MattingError } from '../lib/errors.ts'
import type { Invocation } from '../lib/invocation.ts'
import { isUnder } from '../lib/source.ts'
import { fields, json, text } from './api.ts'
import { patiently } from './patience.ts'

/** An object that a backfill comes to, and what a list tells of it. */
export interface Entry {
  key: string
  /** The key, if `key` was written in a way that may mean two. */
  other?: string | undefined
  size?: number | undefined
  etag?: string | undefined
  /** When it was stored, in milliseconds since the epoch. */
  written?: number | undefined
  /** It is to be announced, even if it is cut out. */
  again?: boolean | undefined
}

/** Which objects a backfill comes to. */
export interface Scope {
  /** Only what lies in these folders; all source folders if there are none. */
  folders: readonly string[]
  /** Only what was stored then or later; in milliseconds since the epoch. */
  since?: number | undefined
  /** A file of keys. */
  from?: string | undefined
  /** The manifest of a COS Inventory. */
  inventory?: string | undefined
}

/** As many as a page of a list has. */
const PAGE = 1_000

/** @throws MattingError bad-request, if a folder is not in a source folder, or the scope says two things */
export function readScope(
  { sourcePrefixes }: Invocation['config'],
  options: {
    folder?: string[] | undefined
    since?: Date | undefined
    from?: string | undefined
    inventory?: string | undefined
  },
): Scope {
  const { folder = [], since, from, inventory } = options
  const folders = folder.map((name) => (name.endsWith('/') ? name : `${name}/`))
  const stray = folders.find((name) => !isUnder(name, sourcePrefixes))
  if (stray !== undefined)
    throw new MattingError('bad-request', `--folder: ${stray} is not in a source folder (${sourcePrefixes.join(', ')})`)
  if (from !== undefined && inventory !== undefined)
    throw new MattingError('bad-request', '--from and --inventory cannot be given together.')
  return { folders, since: since?.getTime(), from, inventory }
}

/** The objects of the folders, by LIST. */
export async function* listed({ cos, config }: Invocation, folders: readonly string[]): AsyncGenerator<Entry[]> {
  const all = [...new Set(folders.length > 0 ? folders : config.sourcePrefixes)]
  const page = patiently(cos.page)
  // One within another would be gone through twice.
  for (const folder of all.filter((name) => !all.some((other) => other !== name && name.startsWith(other)))) {
    for (let after = '', more = true; more; ) {
      const next = await page(folder, after)
      yield next.objects
      more = next.more
      after = next.objects.at(-1)?.key ?? ''
    }
  }
}

/**
 * The objects whose keys are in a file, each once: one key a line, or one JSON object a line with a `key`, as in the file of
 * failures. The whole file is read first, because the same one may be written to meanwhile.
 */
export async function* fromFile(file: string, folders: readonly string[]): AsyncGenerator<Entry[]> {
  const entries = new Map<string, Entry>()
  for await (const read of lines(file)) {
    const line = read.replace(/^\uFEFF|\r$/g, '')
    if (line === '') continue
    const { key, code } = line.startsWith('{') ? fields(json(line)) : {}
    const entry = { key: text(key) || line, ...(code === 'unannounced' && { again: true }) }
    if (folders.length === 0 || isUnder(entry.key, folders)) entries.set(entry.key, entry)
  }
  yield* pagesOf(entries.values())
}

/** Groups entries to pages, of which the survey is made. */
export async function* pagesOf(entries: Iterable<Entry> | AsyncIterable<Entry>): AsyncGenerator<Entry[]> {
  let page: Entry[] = []
  for await (const entry of entries) {
    page.push(entry)
    if (page.length < PAGE) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}

/** Not with readline, for which a line also ends at U+2028, which a key may hold. */
async function* lines(file: string): AsyncGenerator<string> {
  let rest = ''
  try {
    for await (const chunk of createReadStream(file, 'utf8')) {
      const parts = `${rest}${chunk}`.split('\n')
      rest = parts.pop() ?? ''
      for (const part of parts) yield part
    }
  } catch (error) {
    throw new MattingError('bad-request', `${file} cannot be read: ${Object(error).code}`)
  }
  yield rest
}
