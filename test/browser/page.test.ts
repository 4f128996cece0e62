import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chinese } from '../../local/page/chinese.ts'
import { english } from '../../local/page/english.ts'
import { blank, matte, startTestCloud, type TestCloud } from '../helpers/cloud.ts'
import {
  alphasOf,
  drop,
  focused,
  holding,
  inspect,
  inspectAll,
  photo,
  program,
  sizeOf,
  tabTo,
  visit,
} from './visitor.ts'

/** One page and one cloud for all tests: each begins where the last has ended. */
describe.skipIf(!program)('the page of the local cloud in Chromium', () => {
  let browser: Browser
  let cloud: TestCloud
  let page: Page
  const complaints: string[] = []
  const hosts = new Set<string>()

  beforeAll(async () => {
    cloud = await startTestCloud({ matte: held.matte })
    ;({ browser, page } = await visit(complaints, hosts))
    await page.goto(cloud.controlUrl)
    await page.getByText(english.live, { exact: true }).waitFor()
  })
  afterAll(async () => {
    await browser?.close()
    await cloud?.close()
  })

  const held = holding(matte)
  const cutouts = () => page.locator('.cards .ground:not(.working) img[src]')
  const cutoutOf = (name: string) =>
    page.locator('.card').filter({ hasText: name }).locator('.ground:not(.working) img[src]')
  /** What stands under a label of the meter. */
  const meter = (label: string) => page.locator('.meter dl > div').filter({ hasText: label }).locator('strong')
  const bill = () => cloud.cos.bill().length

  it('says what it is for, and is for everybody while there is no photo', async () => {
    expect(await page.title()).toBe(english.title)
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe(english.headline.join('\n'))
    expect(await page.getByText(english.empty).isVisible()).toBe(true)
    expect(await inspectAll(page)).toEqual([])
  })

  it('makes two cutouts with real transparency of two photos that are dropped, and pays for each once', async () => {
    const [mug, ring] = await Promise.all([photo('mug'), photo('ring')])
    await drop(page, [
      { name: 'mug.jpg', bytes: mug },
      { name: 'ring.jpg', bytes: ring },
    ])
    await cutouts().nth(1).waitFor()
    const alphas = await cutouts().evaluateAll(alphasOf)
    expect(alphas).toEqual([
      [0, 255],
      [0, 255],
    ])
    await expect.poll(() => meter(english.paid).innerText()).toBe('2')
    expect(bill()).toBe(2)
    expect(await meter(english.cost).innerText()).toBe('¥ 0.02')
    expect(await page.locator('.size').allInnerTexts()).toEqual([
      expect.stringMatching(/^WebP .* kB/),
      expect.stringMatching(/PNG \d+ kB$/),
    ])
  })

  it('remembers how cutouts are to be shown', async () => {
    // What is shown whole and on nothing is also made the soonest.
    await page.getByRole('switch', { name: english.trim }).uncheck()
    await page.getByRole('radio', { name: english.grounds.checker }).check()
    await page.reload()
    await expect.poll(() => page.locator('.ground.checker:not(.working) img[src]').count()).toBe(2)
    expect(await page.getByRole('switch', { name: english.trim }).isChecked()).toBe(false)
  })

  it('uploads by method two, which is paid during the upload', async () => {
    await page.getByRole('radio', { name: english.ways.two }).check()
    await drop(page, [{ name: 'two.jpg', bytes: await photo('mug') }])
    await cutoutOf('two.jpg').waitFor()
    expect(cloud.cos.bill().map(({ source, method }) => [source, method])).toContainEqual(['uploads/two.jpg', 'upload'])
    expect(bill()).toBe(3)
    await page.getByRole('radio', { name: english.ways.plain }).check()
  })

  it('remembers the price that a person sets', async () => {
    await page.getByLabel(english.price).fill('0.5')
    expect(await meter(english.cost).innerText()).toBe('¥ 1.50')
    await page.reload()
    await expect.poll(() => meter(english.cost).innerText()).toBe('¥ 1.50')
  })

  it('tells the story of a photo, and gives an image URL that works', async () => {
    await page.getByRole('button', { name: english.open('mug.jpg') }).click()
    const sheet = page.getByRole('dialog', { name: 'mug.jpg' })
    await sheet.locator('.result:not(.working) img').waitFor()
    await expect.poll(() => sheet.locator('.story li b').allInnerTexts()).toEqual(Object.values(english.steps))
    await expect.poll(() => sheet.locator('.story li[data-state=done]').count()).toBeGreaterThanOrEqual(6)
    await sheet.getByRole('button', { name: english.copyUrl }).click()
    await sheet.getByText(english.copied).waitFor()
    const url = await page.evaluate(() => navigator.clipboard.readText())
    const picture = await fetch(url)
    expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/webp'])
    await sheet.getByRole('button', { name: english.copyImg }).click()
    await expect
      .poll(() => page.evaluate(() => navigator.clipboard.readText()))
      .toMatch(/^<img src=".*srcset=".* 320w, /)
    await expect.poll(() => page.locator('body > [role=status]').innerText()).toBe(english.copied)
  })

  it('shows another view in other kilobytes, and pays nothing for it', async () => {
    const sheet = page.getByRole('dialog', { name: 'mug.jpg' })
    const size = sheet.locator('.weight strong')
    /** The kilobytes before and after a choice. */
    async function change(choose: () => Promise<unknown>): Promise<[before: number, after: number]> {
      const before = await size.innerText()
      await choose()
      await expect.poll(() => size.innerText()).not.toBe(before)
      return [Number.parseFloat(before), Number.parseFloat(await size.innerText())]
    }
    const [large, small] = await change(() => sheet.getByLabel(english.width).selectOption('160'))
    expect(small).toBeLessThan(large)
    const [webp, png] = await change(() => sheet.getByLabel(english.format).selectOption('png'))
    expect(webp).toBeLessThan(png)
    await change(() => sheet.getByRole('switch', { name: english.trim }).check())
    await change(() => sheet.getByRole('radio', { name: english.grounds.sand }).check())
    expect(bill()).toBe(3)
  })

  it('makes another layout only when it is told to pay for it', async () => {
    const sheet = page.getByRole('dialog', { name: 'mug.jpg' })
    await sheet.getByRole('radio', { name: english.grounds.checker }).check()
    await sheet.getByRole('radio', { name: 'card' }).check()
    await sheet.getByRole('button', { name: english.makeIt }).waitFor()
    expect(bill()).toBe(3)
    await sheet.getByRole('button', { name: english.makeIt }).click()
    await sheet.locator('.result:not(.working) img').waitFor()
    expect(bill()).toBe(4)
    const [width, height] = await sheet.locator('.result img').evaluate(sizeOf)
    await expect
      .poll(() => sheet.getByLabel(english.imgTag, { exact: true }).inputValue({ timeout: 2_000 }))
      .toContain(`width="${width}" height="${height}"`)
    expect(await inspect(page)).toEqual([])
    await page.keyboard.press('Escape')
    await sheet.waitFor({ state: 'detached' })
  })

  it('pays nothing for a photo that is there already, and says so', async () => {
    const [paid, saved] = [bill(), Number(await meter(english.saved).innerText())]
    await drop(page, [{ name: 'ring.jpg', bytes: await photo('ring') }])
    await expect.poll(async () => Number(await meter(english.saved).innerText())).toBeGreaterThan(saved)
    expect(bill()).toBe(paid)
  })

  it.each(['plain', 'two'] as const)(
    'takes one photo that is dropped twice at once, and pays once: %s',
    async (way) => {
      const before = bill()
      await page.getByRole('radio', { name: english.ways[way] }).check()
      const twice = { name: `twice-${way}.jpg`, bytes: await photo(way === 'two' ? 'ring' : 'mug') }
      await drop(page, [twice, twice])
      await cutoutOf(twice.name).waitFor()
      await expect.poll(() => page.locator('.card.upload').count()).toBe(0)
      await cloud.scf.idle()
      expect(bill()).toBe(before + 1)
      await page.getByRole('radio', { name: english.ways.plain }).check()
      // Which of them came first, COS alone decides.
      complaints.splice(0, complaints.length, ...complaints.filter((one) => !one.includes('409')))
    },
  )

  it.each(['duplicate-events', 'killed-instance'] as const)(
    'pays once for each cutout though there is trouble: %s',
    async (name) => {
      const fault = page.getByRole('switch', { name: english.faultNames[name] })
      const before = bill()
      await fault.check()
      await expect.poll(() => cloud.faults.list().length).toBe(1)
      const bytes = await photo('ring')
      const names = [1, 2].map((n) => `${name}-${n}.jpg`)
      await drop(
        page,
        names.map((name) => ({ name, bytes })),
      )
      for (const one of names) await cutoutOf(one).waitFor()
      await cloud.scf.idle()
      expect(cloud.faults.list()[0]?.struck).toBeGreaterThan(0)
      expect(bill()).toBe(before + names.length)
      await expect.poll(() => meter(english.paid).innerText()).toBe(String(before + names.length))
      await page.getByText(/^struck /).waitFor()
      await fault.uncheck()
      await expect.poll(() => cloud.faults.list()).toEqual([])
    },
  )

  it('counts what others pay for, too: a request from outside the page', async () => {
    const before = bill()
    await cloud.upload('uploads/outside.jpg', await photo('mug'))
    await expect.poll(() => meter(english.paid).innerText()).toBe(String(before + 1))
    await cutoutOf('outside.jpg').waitFor()
    await page.locator('.lines li').filter({ hasText: 'PUT uploads/outside.jpg' }).first().waitFor()
  })

  it('says why there is no cutout, and shows the one that there is, whatever its layout', async () => {
    const card = (name: string) => page.locator('.card').filter({ hasText: name })
    const names = ['blank.jpg', 'forgotten.jpg', 'layout.jpg']
    const [body, seconds] = [await photo('mug'), Math.floor(cloud.clock.now() / 1000)]
    await cloud.upload('uploads/blank.jpg', await blank())
    await card('blank.jpg').scrollIntoViewIfNeeded()
    await card('blank.jpg').getByText(english.marks['no-product']).waitFor()
    cloud.faults.set([{ on: 'Event', kind: 'drop', times: 1 }])
    await cloud.bucket.put('uploads/forgotten.jpg', body, { type: 'image/jpeg' })
    await card('forgotten.jpg').scrollIntoViewIfNeeded()
    await card('forgotten.jpg').getByText(english.idle).waitFor()
    expect(await page.getByText(english.cutting).count()).toBe(0)
    const headers = { 'content-type': 'image/jpeg', 'x-cos-meta-matting': 'card' }
    const url = cloud.bucket.presign('uploads/layout.jpg', seconds, seconds + 60, { method: 'PUT', headers })
    expect((await fetch(url, { method: 'PUT', headers, body: new Uint8Array(body) })).status).toBe(200)
    await card('layout.jpg').scrollIntoViewIfNeeded()
    await cutoutOf('layout.jpg').waitFor()
    await card('layout.jpg').getByRole('button').click()
    const sheet = page.getByRole('dialog', { name: 'layout.jpg' })
    await sheet.locator('.result:not(.working) img[src]').waitFor()
    expect(await sheet.getByRole('radio', { name: 'card' }).isChecked()).toBe(true)
    await page.keyboard.press('Escape')
    const isLoaded = (images: Element[]) => images.every((image) => image instanceof HTMLImageElement && image.complete)
    for (const name of names) {
      await card(name).scrollIntoViewIfNeeded()
      await expect.poll(() => card(name).locator('img').evaluateAll(isLoaded)).toBe(true)
      await cloud.bucket.delete(`uploads/${name}`)
      await card(name).waitFor({ state: 'detached' })
    }
    cloud.faults.set([])
    // A blank's cutout is stored before it is noted that it is one: the page may have asked for it in between.
    const early = complaints.findIndex((one) => one.includes(' 422 ') && one.includes('blank.jpg'))
    if (early >= 0) complaints.splice(early, 1)
  })

  it('a key that is markup stays text', async () => {
    const key = 'uploads/<img src=x onerror=alert(1)>.jpg'
    await cloud.upload(key, await photo('mug'))
    const card = page.locator('.card').filter({ hasText: '<img src=x onerror=alert(1)>.jpg' })
    await card.waitFor()
    expect(await page.locator('img[src=x]').count()).toBe(0)
    await card.getByRole('button').click()
    await page.locator('.sheet .result:not(.working) img').waitFor()
    expect(await page.locator('img[src=x]').count()).toBe(0)
    await page.keyboard.press('Escape')
    await page.locator('.sheet').waitFor({ state: 'detached' })
    // Nothing of it is on its way any more, or its absence would be complained of.
    await cutoutOf('onerror').waitFor()
    const isLoaded = (images: Element[]) => images.every((image) => image instanceof HTMLImageElement && image.complete)
    await expect.poll(() => card.locator('img').evaluateAll(isLoaded)).toBe(true)
    await cloud.bucket.delete(key)
    await card.waitFor({ state: 'detached' })
  })

  it('says in words why a file is not taken', async () => {
    await drop(page, [
      { name: 'notes.txt', bytes: Buffer.from('no picture'), type: 'text/plain' },
      { name: 'moving.gif', bytes: Buffer.from('GIF89a'), type: 'image/gif' },
    ])
    await page.getByText(english.notPicture).nth(1).waitFor()
    // The sample is another photo than the one of that name.
    await page.getByRole('button', { name: english.samples.mug, exact: true }).click()
    const other = page.locator('.card.upload').filter({ hasText: 'mug.jpg' })
    await other.getByRole('button', { name: english.replace }).waitFor()
    // Chromium tells of every answer that is an error.
    const errors = complaints.splice(0).map((one) => / (4\d\d) /.exec(one)?.[1])
    expect(errors).toEqual(['415', '415', '409'])
    for (const name of ['mug.jpg', 'notes.txt', 'moving.gif'])
      await page.getByRole('button', { name: english.dismissFor(name) }).click()
    await expect.poll(() => page.locator('.card.upload').count()).toBe(0)
  })

  it('is for everybody with photos, in light and dark, in both languages', async () => {
    // Its lines were looked at above, and there are many.
    await page.getByRole('button', { name: english.clear }).click()
    expect(await inspectAll(page)).toEqual([])
    await page.getByRole('radio', { name: english.modes.compare }).check()
    await page.locator('.compare:not(.working) img.photo').first().waitFor()
    expect(await inspect(page)).toEqual([])
  })

  it('works by the keyboard alone', async () => {
    await page.reload()
    await page.locator('.compare:not(.working) img.photo').first().waitFor()
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe(english.skip)
    await page.keyboard.press('Enter')
    expect(await tabTo(page, english.compareSlider('duplicate-events-1.jpg'))).toBe(
      english.compareSlider('duplicate-events-1.jpg'),
    )
    await page.keyboard.press('ArrowRight')
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-valuetext'))).toBe(english.percent(51))
    expect(await tabTo(page, english.open('duplicate-events-1.jpg'))).toBe(english.open('duplicate-events-1.jpg'))
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'duplicate-events-1.jpg' }).waitFor()
    expect(await tabTo(page, english.remove)).toBe(english.remove)
    await page.keyboard.press('Enter')
    await page.getByRole('alertdialog').waitFor()
    // The harmless answer has the focus.
    expect(await focused(page)).toBe(english.keep)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.getByRole('button', { name: english.open('duplicate-events-1.jpg') }).count()).toBe(0)
    expect(await cloud.keys('uploads/duplicate-events-1')).toEqual([])
  })

  it('says how far a photo is that takes long', async () => {
    await drop(page, [{ name: 'slow.jpg', bytes: Buffer.concat([await photo('mug'), Buffer.from('hold me')]) }])
    const card = page.locator('.card').filter({ hasText: 'slow.jpg' })
    await card.getByText(english.cutting).waitFor()
    await expect.poll(async () => (await (await fetch(`${cloud.controlUrl}/api/cutting`)).json()).length).toBe(1)
    cloud.clock.advance(2_000)
    await card.getByText(english.stages.refine).waitFor()
    held.letGo()
    await card.locator('img.photo, .ground img').first().waitFor()
    // Another one of that name begins anew.
    await cloud.bucket.put('uploads/slow.jpg', Buffer.concat([await photo('ring'), Buffer.from('hold me')]), {
      type: 'image/jpeg',
    })
    await card.getByText(english.cutting).waitFor()
    await expect.poll(async () => (await (await fetch(`${cloud.controlUrl}/api/cutting`)).json()).length).toBe(1)
    held.letGo()
    await card.locator('img.photo, .ground img').first().waitFor()
  })

  it('speaks Chinese, and remembers it', async () => {
    await page.locator('.language select').selectOption('zh-Hans')
    await page.getByText(chinese.photos, { exact: true }).waitFor()
    await page.reload()
    await page.getByText(chinese.live, { exact: true }).waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-Hans')
    expect(await page.title()).toBe(chinese.title)
  })

  it('has complained of nothing, and asked only the local cloud', () => {
    expect(complaints).toEqual([])
    // A blob has no host.
    const asked = [...hosts].filter((host) => host !== '').sort()
    expect(asked).toEqual([cloud.controlUrl, cloud.cosUrl, cloud.imageUrl].map((url) => new URL(url).host).sort())
  })

  it('says so when the local cloud ends', async () => {
    await cloud.stop()
    await page.getByRole('alert').getByText(chinese.stopped).waitFor()
  })
})
