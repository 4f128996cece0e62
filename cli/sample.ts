import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Cos } from '../lib/cos.ts'
import { cutOut } from '../lib/cut.ts'
import { MattingError } from '../lib/errors.ts'
import { createTell } from '../lib/tell.ts'
import type { Operator } from './operator.ts'
import { page, type Shown } from './sample-page.ts'
import type { Verdict } from './survey.ts'
import { folderOf } from './tally.ts'

export type Picked = Extract<Verdict, { verdict: 'missing' }>

/** Time for one photo of a sample, in milliseconds. */
const TIME = 120_000

/** Picks photos at random, from as many folders as there are; it remembers no more than n folders with n photos each. */
export class Sample {
  readonly #size: number
  readonly #prefixes: readonly string[]
  readonly #random: () => number
  /** In the order in which they came. */
  readonly #folders: { name: string; seen: number; photos: Picked[] }[] = []
  #folder = { name: '', seen: 0, photos: [] as Picked[] }
  #seen = 0

  constructor(size: number, sourcePrefixes: readonly string[], random: () => number) {
    this.#size = size
    this.#prefixes = sourcePrefixes
    this.#random = random
  }

  add(photo: Picked): void {
    const name = folderOf(photo.key, this.#prefixes)
    if (this.#folder.name !== name) {
      const known = this.#folders.find((one) => one.name === name)
      this.#folder = known ?? { name, seen: 0, photos: [] }
      if (!known) this.#keep(this.#folders, this.#folder, this.#seen++)
    }
    this.#keep(this.#folder.photos, photo, this.#folder.seen++)
  }

  /** Each of all that came has the same chance to be kept (Vitter's algorithm R). */
  #keep<T>(kept: T[], one: T, before: number): void {
    const place = before < this.#size ? before : Math.floor(this.#random() * (before + 1))
    if (place < this.#size) kept[place] = one
  }

  /** One of each folder, then a second one of each, until there are enough. */
  picked(): Picked[] {
    const rounds = Array.from({ length: this.#size }, (_, i) => this.#folders.flatMap(({ photos }) => photos[i] ?? []))
    return rounds.flat().slice(0, this.#size)
  }
}

/**
 * Makes the cutouts of the sample, which is paid for, and writes a page that shows them into a folder.
 * @returns the page's file, and how many calls were paid
 */
export async function makeSample(
  operator: Operator,
  picked: readonly Picked[],
  dir: string,
): Promise<{ file: string; paid: number; failed: number }> {
  await mkdir(dir, { recursive: true })
  const shown: Shown[] = []
  let [paid, failed] = [0, 0]
  for (const [i, { key, head }] of picked.entries()) {
    const invocation = operator.open(TIME)
    const one: Shown = { key, photo: `${i + 1}-photo${ending(head.type, key)}`, cutouts: [] }
    const announce = createTell(invocation)
    try {
      const cutouts = await cutOut('backfill', key, head, { ...invocation, announce, warn: () => {} })
      await save(invocation.cos, key, join(dir, one.photo))
      for (const { layout, key: cutout, width, height } of cutouts) {
        const file = `${i + 1}-${layout}.png`
        await save(invocation.store, cutout, join(dir, file))
        one.cutouts.push({ layout, file, size: width && height ? `${width} × ${height}` : '' })
      }
    } catch (thrown) {
      const error = MattingError.from(thrown)
      failed++
      await save(invocation.cos, key, join(dir, one.photo)).catch(() => {})
      one.failure = `${error.code}: ${error.message}`
    }
    paid += invocation.spent.calls
    shown.push(one)
  }
  const file = join(dir, 'index.html')
  await writeFile(file, page(shown))
  return { file: pathToFileURL(file).href, paid, failed }
}

async function save(cos: Cos, key: string, file: string): Promise<void> {
  const found = await cos.pieces(key)
  if (!found) throw new MattingError('not-found')
  const pieces: Buffer[] = []
  for await (const piece of found.pieces) pieces.push(piece)
  await writeFile(file, Buffer.concat(pieces))
}

/** By which a browser knows a picture in a file. */
function ending(type: string, key: string): string {
  const [, name = 'jpg'] =
    /^image\/(?:x-ms-)?(jpe?g|png|webp|bmp)/i.exec(type) ?? /\.(jpe?g|png|webp|bmp)$/i.exec(key) ?? []
  return `.${name.toLowerCase()}`
}
