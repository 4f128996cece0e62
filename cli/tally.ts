import type { Verdict } from './survey.ts'

/** Numbers of objects, and of the calls that are to be paid for them. */
export interface Counts {
  objects: number
  cut: number
  refused: number
  /** Those that could not be looked at. */
  failed: number
  toCut: number
  calls: number
}

/** What a survey found. */
export interface Tally extends Counts {
  /** Paid requests: one makes up to five cutouts. */
  requests: number
  /** Why → how many. */
  reasons: Record<string, number>
  folders: (Counts & { folder: string })[]
  /** All other folders together. */
  rest?: Counts & { folders: number }
}

/** So many folders are told. */
const LARGEST = 20
/** With more folders than this the smallest are added up. Lists go through a folder at a time, so none of them is cut in two. */
const MAX_FOLDERS = 1_000
/** What one paid request makes at most. */
const RULES = 5

/** Adds up what is found; with flat memory, however many folders there are. */
export class Sum {
  readonly #prefixes: readonly string[]
  readonly #all = { ...NONE, requests: 0 }
  readonly #reasons = new Map<string, number>()
  readonly #folders = new Map<string, Counts>()
  readonly #rest = { ...NONE, folders: 0 }

  constructor(sourcePrefixes: readonly string[]) {
    this.#prefixes = sourcePrefixes
  }

  get calls(): number {
    return this.#all.calls
  }

  get objects(): number {
    return this.#all.objects
  }

  /** `most`: no more calls than these are paid for. */
  add(found: Verdict, most = Number.POSITIVE_INFINITY): void {
    const folder = folderOf(found.key, this.#prefixes)
    const counts = this.#folders.get(folder) ?? { ...NONE }
    // The last one is the one that is gone through.
    this.#folders.delete(folder)
    this.#folders.set(folder, counts)
    const calls = found.verdict === 'missing' ? Math.min(found.calls, most) : 0
    for (const one of [this.#all, counts]) {
      one.objects++
      one.calls += calls
      if (found.verdict === 'refused') one.refused++
      else if (found.verdict === 'failed') one.failed++
      else if (calls > 0) one.toCut++
      else one.cut++
    }
    this.#all.requests += Math.ceil(calls / RULES)
    const why = found.verdict === 'refused' ? found.why : undefined
    if (why) this.#reasons.set(why, (this.#reasons.get(why) ?? 0) + 1)
    if (this.#folders.size > MAX_FOLDERS) this.#fold(MAX_FOLDERS / 2, folder)
  }

  tally(): Tally {
    this.#fold(LARGEST)
    const folders = [...this.#folders].map(([folder, counts]) => ({ folder, ...counts }))
    return {
      ...this.#all,
      reasons: Object.fromEntries([...this.#reasons].sort(([, a], [, b]) => b - a)),
      folders: folders.sort(byName),
      ...(this.#rest.folders > 0 && { rest: { ...this.#rest } }),
    }
  }

  #fold(kept: number, current?: string): void {
    const sorted = [...this.#folders].sort(([, a], [, b]) => b.objects - a.objects)
    for (const [folder, counts] of sorted.slice(kept)) {
      if (folder === current) continue
      this.#folders.delete(folder)
      this.#rest.folders++
      for (const name of COUNTED) this.#rest[name] += counts[name]
    }
  }
}

const COUNTED = ['objects', 'cut', 'refused', 'failed', 'toCut', 'calls'] as const
const NONE: Counts = { objects: 0, cut: 0, refused: 0, failed: 0, toCut: 0, calls: 0 }

function byName(a: { folder: string }, b: { folder: string }): number {
  return a.folder < b.folder ? -1 : 1
}

/** The folder one level below its source folder; the source folder itself, if it lies there. */
export function folderOf(key: string, sourcePrefixes: readonly string[]): string {
  const prefix = sourcePrefixes.filter((one) => key.startsWith(one)).reduce((a, b) => (a.length > b.length ? a : b), '')
  return key.slice(0, key.indexOf('/', prefix.length) + 1 || prefix.length) || '(elsewhere)'
}
