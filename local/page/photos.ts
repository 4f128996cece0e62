import type { Api } from './api.ts'
import { type Cell, cell } from './cell.ts'
import type { Cutout, CuttingPicture, Photo } from './wire.ts'

const PAGE = 24
/** Several changes of one photo come at once, as its claim, its cutout and its receipt do; it is looked at once for all of them. */
const GATHER_MS = 80

/** The photos of the bucket, as far as they are shown, kept up to date. */
export interface Photos {
  /** In the order in which they are shown: the newest first. */
  keys: Cell<readonly string[]>
  /** The photo itself; undefined once it is gone. */
  photo(key: string): Cell<Photo | undefined>
  /** How far the engine is with it, if that takes long. */
  stage(key: string): Cell<CuttingPicture['stage'] | undefined>
  /** Whether there are more than those. */
  more: Cell<boolean>
  /** Whether it is known which there are. */
  known: Cell<boolean>
  /** What forbids to show them. */
  trouble: Cell<string | undefined>
  /** All are gone. */
  forget(): void
  /** Begins anew: what happened meanwhile is not known. */
  reload(): Promise<void>
  loadMore(): Promise<void>
  /** Something of it has changed. */
  changed(key: string): void
  /** Looks at a photo now. */
  look(key: string): Promise<void>
}

/** @param finished a photo that had no cutout has one, or never will */
export function createPhotos(api: Api, finished: (photo: Photo) => void): Photos {
  const keys = cell<readonly string[]>([])
  const cells = new Map<string, Cell<Photo | undefined>>()
  const stages = new Map<string, Cell<CuttingPicture['stage'] | undefined>>()
  const more = cell(false)
  const known = cell(false)
  const trouble = cell<string | undefined>(undefined)
  const dirty = new Set<string>()
  let gathering = false
  let after: string | undefined

  function photo(key: string): Cell<Photo | undefined> {
    const there = cells.get(key) ?? cell<Photo | undefined>(undefined)
    cells.set(key, there)
    return there
  }

  function stage(key: string): Cell<CuttingPicture['stage'] | undefined> {
    const there = stages.get(key) ?? cell<CuttingPicture['stage'] | undefined>(undefined)
    stages.set(key, there)
    return there
  }

  function take(found: Photo): void {
    const here = photo(found.key)
    const before = here.value
    if (isFinished(found)) stages.get(found.key)?.set(undefined)
    here.set(found)
    if (before && !isFinished(before) && isFinished(found)) finished(found)
  }

  async function load(from?: string): Promise<void> {
    try {
      const page = await api.photos(PAGE, from)
      for (const found of page.photos) take(found)
      // Those of now: while it was asked, others came or went.
      const keep = from === undefined ? [] : keys.value
      const fresh = page.photos.map(({ key }) => key).filter((key) => !keep.includes(key))
      after = page.after
      more.set(after !== undefined)
      trouble.set(undefined)
      keys.set([...keep, ...fresh])
      known.set(true)
    } catch (error) {
      trouble.set(error instanceof Error ? error.message : String(error))
    }
  }

  /** Puts a photo where the list has it, if it is not among those that are still to be loaded. */
  function arrange(found: Photo): void {
    const rest = keys.value.filter((one) => one !== found.key)
    const older = rest.findIndex((one) => {
      const { modified = '' } = photo(one).value ?? {}
      return modified < found.modified || (modified === found.modified && one > found.key)
    })
    if (older < 0 && more.value) return
    const at = older < 0 ? rest.length : older
    keys.set([...rest.slice(0, at), found.key, ...rest.slice(at)])
  }

  async function look(key: string): Promise<void> {
    const { photo: found } = await api.photo(key)
    const listed = keys.value.includes(key)
    if (found) {
      const before = photo(key).value?.modified
      take(found)
      if (!listed || before !== found.modified) arrange(found)
      return
    }
    // The cells stay: a card that is not drawn away yet goes on to watch them, and one of that name may come again.
    photo(key).set(undefined)
    stages.get(key)?.set(undefined)
    if (listed) keys.set(keys.value.filter((one) => one !== key))
  }

  return {
    keys,
    photo,
    stage,
    more,
    known,
    trouble,
    look,
    forget() {
      for (const one of cells.values()) one.set(undefined)
      for (const one of stages.values()) one.set(undefined)
      keys.set([])
    },
    reload: () => load(),
    loadMore: () => load(after),
    changed(key) {
      dirty.add(key)
      if (gathering) return
      gathering = true
      setTimeout(async () => {
        // What changes from now on is looked at again.
        gathering = false
        const batch = [...dirty]
        dirty.clear()
        for (const one of batch) await look(one).catch(() => {})
      }, GATHER_MS)
    },
  }
}

/** Whether a photo is no longer waited for. */
export function isFinished({ cutouts, mark, waiting }: Photo): boolean {
  return cutouts.length > 0 || mark !== undefined || !waiting
}

/** The cutout that stands for a photo: the plain one, or else one that is there. Of one without a product they are blank. */
export function mainOf({ cutouts, mark }: Photo): Cutout | undefined {
  if (mark?.code === 'no-product') return undefined
  return cutouts.find(({ layout }) => layout === 'plain') ?? cutouts[0]
}
