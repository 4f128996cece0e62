import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chinese } from '../../local/page/chinese.ts'
import { english } from '../../local/page/english.ts'
import {
  alphasOf,
  drop,
  focused,
  inspect,
  inspectAll,
  photo,
  program,
  sizeOf,
  tabTo,
  type Visit,
  visit,
} from './visitor.ts'

/** One page and one cloud for all tests: each begins where the last has ended. */
describe.skipIf(!program)('the page of the local cloud in Chromium', () => {
  let visitor: Visit
  let cloud: Visit['cloud']
  let page: Visit['page']
  let complaints: Visit['complaints']
  let hosts: Visit['hosts']
  let cutouts: Visit['cutouts']
  let cutoutOf: Visit['cutoutOf']
  let meter: Visit['meter']
  let bill: Visit['bill']
  let open: Visit['open']

  beforeAll(async () => {
    visitor = await visit()
    ;({ cloud, page, complaints, hosts, cutouts, cutoutOf, meter, bill, open } = visitor)
  })
  afterAll(() => visitor?.close())

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
    const sheet = await open('mug.jpg')
    await sheet.locator('.result:not(.working) img').waitFor()
    await expect.poll(() => sheet.locator('.story li b').allInnerTexts()).toEqual(Object.values(english.steps))
    await expect.poll(() => sheet.locator('.story li[data-state=done]').count()).toBeGreaterThanOrEqual(6)
    await sheet.getByRole('button', { name: english.copyUrl }).click()
    await sheet.getByRole('status').getByText(english.copied).waitFor()
    const url = await page.evaluate(() => navigator.clipboard.readText())
    const picture = await fetch(url)
    expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/webp'])
    await sheet.getByRole('button', { name: english.copyImg }).click()
    await expect
      .poll(() => page.evaluate(() => navigator.clipboard.readText()))
      .toMatch(/^<img src=".*srcset=".* 320w, /)
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
    // Trim would take away what this layout adds.
    expect(await sheet.getByRole('switch', { name: english.trim }).isChecked()).toBe(false)
    expect(await sheet.getByLabel(english.width).inputValue()).toBe('160')
    await sheet.getByRole('button', { name: english.makeIt }).waitFor()
    expect(bill()).toBe(3)
    await sheet.getByRole('button', { name: english.makeIt }).click()
    await sheet.locator('.result:not(.working) img').waitFor()
    expect(bill()).toBe(4)
    // Which may be known only after it is shown.
    await sheet.locator('.weight').getByText(english.rawPng).waitFor()
    const [width, height] = await sheet.locator('.result img').evaluate(sizeOf)
    await expect
      .poll(() => sheet.getByLabel(english.imgTag, { exact: true }).inputValue({ timeout: 2_000 }))
      .toContain(`width="${width}" height="${height}"`)
    await expect.poll(() => sheet.locator('.story').innerText()).toContain('card (')
    expect(await inspect(page)).toEqual([])
    // As on a phone, where it fills the window like a page.
    await page.goBack()
    await sheet.waitFor({ state: 'detached' })
    // Closed in another way it leaves nothing behind that a Back would have to go over.
    for (const close of ['Escape', 'Escape']) {
      await open('mug.jpg')
      await page.keyboard.press(close)
      await sheet.waitFor({ state: 'detached' })
    }
    await expect.poll(() => page.evaluate(() => history.state)).toBe(null)
    expect(page.url()).toBe(`${cloud.controlUrl}/`)
  })

  it('pays nothing for a photo that is there already, and says so', async () => {
    const [paid, saved] = [bill(), Number(await meter(english.saved).innerText())]
    await drop(page, [{ name: 'ring.jpg', bytes: await photo('ring') }])
    await page.getByText(english.alreadyThere('ring.jpg')).waitFor()
    await expect.poll(async () => Number(await meter(english.saved).innerText())).toBeGreaterThan(saved)
    expect(bill()).toBe(paid)
    // It is the newest now, also for whoever comes later.
    const names = () => page.locator('.card .name').allInnerTexts()
    const before = ['ring.jpg', 'two.jpg', 'mug.jpg']
    await expect.poll(names).toEqual(before)
    await page.reload()
    await expect.poll(names).toEqual(before)
  })

  it('shows the photo under its cutout as soon as it can, though at first it could not', async () => {
    const asked = page.waitForEvent('requestfailed')
    // The cutout in this width is for comparing alone.
    await page.route(`${cloud.imageUrl}/**width%3D640**`, (route) => route.abort(), { times: 1 })
    const sheet = await open('ring.jpg')
    await asked
    await cloud.bucket.put('uploads/ring.jpg', await photo('ring'), { type: 'image/jpeg' })
    await sheet.locator('.compare img:not(.photo)[src]').waitFor()
    await page.keyboard.press('Escape')
    expect(complaints.splice(0)).toEqual([expect.stringContaining('ERR_FAILED')])
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
    expect(await tabTo(page, english.compareSlider('ring.jpg'))).toBe(english.compareSlider('ring.jpg'))
    await page.keyboard.press('ArrowRight')
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-valuetext'))).toBe(english.percent(51))
    expect(await tabTo(page, english.open('ring.jpg'))).toBe(english.open('ring.jpg'))
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'ring.jpg' }).waitFor()
    expect(await tabTo(page, english.remove)).toBe(english.remove)
    await page.keyboard.press('Enter')
    await page.getByRole('alertdialog').waitFor()
    // The harmless answer has the focus.
    expect(await focused(page)).toBe(english.keep)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.getByRole('button', { name: english.open('ring.jpg') }).count()).toBe(0)
    expect(await cloud.keys('uploads/ring')).toEqual([])
    // What had the focus is gone.
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe('gallery')
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
})
