import { EventEmitter, once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import { chromium, type Page } from 'playwright-core'
import sharp from 'sharp'
import type { CloudOptions } from '../../local/cloud.ts'
import type { Matte } from '../../local/matte/matte.ts'
import { chinese } from '../../local/page/chinese.ts'
import { english } from '../../local/page/english.ts'
import type { SampleName } from '../../local/sample.ts'
import { startTestCloud } from '../helpers/cloud.ts'
import { sample } from '../helpers/samples.ts'

/** Debian's Chromium, if it is there. */
export const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))
if (!program) console.warn('SKIPPED: test/browser, for there is no Chromium here')

export interface Visit extends Awaited<ReturnType<typeof visit>> {}

/** A cloud of its own, and its page in a window. What the page complains of, and which hosts it asks, is noted. */
export async function visit(options: Partial<CloudOptions> = {}) {
  const cloud = await startTestCloud(options)
  const complaints: string[] = []
  const hosts = new Set<string>()
  const browser = await chromium.launch({ executablePath: program ?? '', args: ['--no-sandbox'] })
  const context = await browser.newContext({
    locale: 'en-GB',
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  const page = await context.newPage()
  page.setDefaultTimeout(120_000)
  page.on('console', (message) => complaints.push(`${message.text()} ${message.location().url}`))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => hosts.add(new URL(request.url()).host))
  await page.goto(cloud.controlUrl)
  await page.getByText(english.live, { exact: true }).waitFor()
  const card = (name: string) => page.locator('.card').filter({ hasText: name })
  return {
    cloud,
    page,
    complaints,
    hosts,
    card,
    cutouts: () => page.locator('.cards .ground:not(.working) img[src]'),
    cutoutOf: (name: string) => card(name).locator('.ground:not(.working) img[src]'),
    /** What stands under a label of the meter. */
    meter: (label: string) => page.locator('.meter dl > div').filter({ hasText: label }).locator('strong'),
    bill: () => cloud.cos.bill().length,
    /** Opens the sheet of a photo. */
    async open(name: string) {
      await page.getByRole('button', { name: english.open(name), exact: true }).click()
      return page.getByRole('dialog', { name })
    },
    async close() {
      await browser.close()
      await cloud.close()
    },
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** A small sample, which takes little time to cut out. */
export async function photo(name: SampleName): Promise<Buffer> {
  return sharp((await sample(name)).jpeg)
    .resize(400)
    .toBuffer()
}

/** An engine that keeps a photo in hand which says `hold me`, until it is let go. */
export function holding(engine: Matte): { matte: Matte; letGo: () => void } {
  const held = new EventEmitter()
  const matte: Matte = {
    ...engine,
    async cut(image, layouts, tell) {
      if (image.includes('hold me')) {
        tell?.('refine')
        await once(held, 'go')
      }
      return engine.cut(image, layouts)
    },
  }
  return { matte, letGo: () => void held.emit('go') }
}

/** Drops files on the page, as from a window of the desktop. */
export async function drop(
  page: Page,
  files: readonly { name: string; bytes: Buffer; type?: string }[],
): Promise<void> {
  const given = files.map(({ name, bytes, type = 'image/jpeg' }) => ({ name, type, text: bytes.toString('base64') }))
  await page.evaluate((all) => {
    const dataTransfer = new DataTransfer()
    for (const { name, type, text } of all) {
      const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
      dataTransfer.items.add(new File([bytes], name, { type }))
    }
    for (const kind of ['dragenter', 'dragover', 'drop'])
      document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }))
  }, given)
}

/** What axe finds wrong with all that is shown. */
export async function inspect(page: Page): Promise<string[]> {
  if (!(await page.evaluate('Boolean(window.axe)'))) await page.evaluate(axe)
  const found: AxeResults = await page.evaluate(`axe.run(document, { resultTypes: ['violations'] })`)
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  )
}

/** In both appearances and both languages. */
export async function inspectAll(page: Page): Promise<string[]> {
  const wrong: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const [language, { headline }] of [
      ['zh-Hans', chinese],
      ['en', english],
    ] as const) {
      await page.locator('.language select').selectOption(language)
      await page.getByText(headline[0] ?? '').waitFor()
      wrong.push(...(await inspect(page)))
    }
  }
  return wrong
}

/** Width and height of a picture; runs in the browser. */
export function sizeOf(image: HTMLElement | SVGElement): number[] {
  return image instanceof HTMLImageElement ? [image.naturalWidth, image.naturalHeight] : []
}

/** Alpha of the first pixel of each picture, and its highest; runs in the browser. */
export function alphasOf(images: (HTMLElement | SVGElement)[]): (number | undefined)[][] {
  return images.map((image) => {
    if (!(image instanceof HTMLImageElement)) return []
    const { naturalWidth: width, naturalHeight: height } = image
    const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d')
    context?.drawImage(image, 0, 0)
    const { data = [] } = context?.getImageData(0, 0, width, height) ?? {}
    let most = 0
    for (let i = 3; i < data.length; i += 4) most = Math.max(most, data[i] ?? 0)
    return [data[3], most]
  })
}

/** The colour in the middle of a picture, red, green and blue; runs in the browser. */
export function centreOf(image: HTMLElement | SVGElement): number[] {
  if (!(image instanceof HTMLImageElement)) return []
  const { naturalWidth: width, naturalHeight: height } = image
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d')
  context?.drawImage(image, 0, 0)
  return [...(context?.getImageData(width / 2, height / 2, 1, 1).data ?? [])].slice(0, 3)
}

/** What has the focus, as it is called. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(
    () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
  )
}

/** Presses Tab until the focus is there, or has been everywhere. @returns where it is */
export async function tabTo(page: Page, name: string): Promise<string> {
  for (let i = 0; i < 80 && (await focused(page)) !== name; i++) await page.keyboard.press('Tab')
  return focused(page)
}
