import type { Locator, Route } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { english } from '../../local/page/english.ts'
import { blank, matte, photo as product } from '../helpers/cloud.ts'
import { centreOf, drop, holding, photo, program, type Visit, visit } from './visitor.ts'

/** One page and one cloud for all tests: each begins where the last has ended. */
describe.skipIf(!program)('the page of the local cloud in Chromium, in trouble', () => {
  const held = holding(matte)
  let visitor: Visit
  let cloud: Visit['cloud']
  let page: Visit['page']
  let complaints: Visit['complaints']
  let card: Visit['card']
  let cutoutOf: Visit['cutoutOf']
  let meter: Visit['meter']
  let bill: Visit['bill']
  let open: Visit['open']

  beforeAll(async () => {
    visitor = await visit({ matte: held.matte, environment: { REDIRECT_TTL: '300' } })
    ;({ cloud, page, complaints, card, cutoutOf, meter, bill, open } = visitor)
  })
  afterAll(() => visitor?.close())

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
      await page.getByText(english.paidForAll(bill(), bill())).waitFor()
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
    const names = ['blank.jpg', 'forgotten.jpg', 'layout.jpg']
    const [body, seconds] = [await photo('mug'), Math.floor(cloud.clock.now() / 1000)]
    await cloud.upload('uploads/blank.jpg', await blank())
    await card('blank.jpg').scrollIntoViewIfNeeded()
    await card('blank.jpg').getByText(english.marks['no-product']).waitFor()
    const refused = await open('blank.jpg')
    await refused.locator('.before img').waitFor()
    expect(await refused.locator('.weight').isVisible()).toBe(false)
    await page.keyboard.press('Escape')
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
    const sheet = await open('layout.jpg')
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

  it('says in words why a file is not taken', async () => {
    await drop(page, [
      { name: 'notes.txt', bytes: Buffer.from('no picture'), type: 'text/plain' },
      { name: 'moving.gif', bytes: Buffer.from('GIF89a'), type: 'image/gif' },
      { name: 'empty.jpg', bytes: Buffer.alloc(0) },
    ])
    await page.getByText(english.emptyFile).waitFor()
    await page.getByText(english.notPicture).nth(1).waitFor()
    await cloud.upload('uploads/mug.jpg', await product())
    // The sample is another photo than the one of that name.
    await page.getByRole('button', { name: english.samples.mug, exact: true }).click()
    const other = page.locator('.card.upload').filter({ hasText: english.taken })
    await other.getByRole('button', { name: english.replace }).waitFor()
    // Chromium tells of every answer that is an error.
    const errors = complaints.splice(0).map((one) => / (4\d\d) /.exec(one)?.[1])
    expect(errors).toEqual(['415', '415', '409'])
    await page.getByRole('button', { name: english.dismissFor('mug.jpg') }).click()
    await page.getByRole('button', { name: english.dismissAll }).click()
    await expect.poll(() => page.locator('.card.upload').count()).toBe(0)
  })

  it('says how far a photo is that takes long', async () => {
    // Held from that stage on: let go before it would be held for ever.
    const inHand = async () => (await fetch(`${cloud.controlUrl}/api/cutting`)).json()
    await drop(page, [{ name: 'slow.jpg', bytes: Buffer.concat([await photo('mug'), Buffer.from('hold me')]) }])
    const card = page.locator('.card').filter({ hasText: 'slow.jpg' })
    await card.getByText(english.cutting).waitFor()
    await expect.poll(inHand).toMatchObject([{ stage: 'refine' }])
    cloud.clock.advance(2_000)
    await card.getByText(english.stages.refine).waitFor()
    held.letGo()
    await card.locator('img.photo, .ground img').first().waitFor()
    // Another one of that name begins anew.
    await cloud.bucket.put('uploads/slow.jpg', Buffer.concat([await photo('ring'), Buffer.from('hold me')]), {
      type: 'image/jpeg',
    })
    await card.getByText(english.cutting).waitFor()
    await expect.poll(inHand).toMatchObject([{ stage: 'refine' }])
    held.letGo()
    await card.locator('img.photo, .ground img').first().waitFor()
  })

  it('shows the photo that replaces another, and its cutout, at once and after a reload', async () => {
    await drop(page, [{ name: 'swap.jpg', bytes: await product('#b03020') }])
    await cutoutOf('swap.jpg').waitFor()
    const small = await card('swap.jpg').locator('.tile:not(.ground) img').getAttribute('src')
    const [red] = (await cutoutOf('swap.jpg').evaluate(centreOf)) ?? []
    expect(red).toBeGreaterThan(150)
    const sheet = await open('swap.jpg')
    await sheet.locator('.result:not(.working) img[src]').waitFor()
    const before = bill()
    // What comes is seen behind the sheet, which a drop closes.
    await drop(page, [{ name: 'swap.jpg', bytes: await product('#2040b0') }])
    await page.getByRole('button', { name: english.replace }).click()
    const isBlue = async (image: Locator) => {
      await image.waitFor()
      const [red = 255, , blue = 0] = await image.evaluate(centreOf)
      return blue > 150 && red < 80
    }
    await expect.poll(() => isBlue(cutoutOf('swap.jpg'))).toBe(true)
    expect(await card('swap.jpg').locator('.tile:not(.ground) img').getAttribute('src')).not.toBe(small)
    await open('swap.jpg')
    await expect.poll(() => isBlue(sheet.locator('.result:not(.working) img[src]'))).toBe(true)
    await expect.poll(() => isBlue(sheet.locator('.compare img:not(.photo)[src]'))).toBe(true)
    await page.reload()
    await expect.poll(() => isBlue(cutoutOf('swap.jpg'))).toBe(true)
    expect(bill()).toBe(before + 1)
    // That there was another one, only COS can say.
    complaints.splice(0, complaints.length, ...complaints.filter((one) => !one.includes(' 409 ')))
  })

  it.each(['plain', 'two'] as const)('sends again what a busy vendor did not take, and pays once: %s', async (way) => {
    const before = bill()
    await page.getByRole('radio', { name: english.ways[way] }).check()
    const name = `busy-${way}.jpg`
    const prefix = `uploads/${name}`
    cloud.faults.set([{ on: 'PutObject', kind: 'slow-down', prefix, times: 2 }])
    await drop(page, [{ name, bytes: await product(way === 'two' ? '#208040' : '#804020') }])
    await cutoutOf(name).waitFor()
    expect(cloud.faults.list()[0]?.struck).toBe(2)
    await cloud.scf.idle()
    expect(bill()).toBe(before + 1)
    cloud.faults.set([])
    // The answer says so, but it was stored: there is no other photo of that name.
    const late = async (route: Route) => route.fulfill({ response: await route.fetch(), status: 503 })
    await page.route(`${cloud.cosUrl}/**/late-${way}.jpg*`, late, { times: 1 })
    await drop(page, [{ name: `late-${way}.jpg`, bytes: await product(way === 'two' ? '#20a0b0' : '#a020b0') }])
    await cutoutOf(`late-${way}.jpg`).waitFor()
    await expect.poll(() => page.locator('.card.upload').count()).toBe(0)
    expect(bill()).toBe(before + 2)
    await page.getByRole('radio', { name: english.ways.plain }).check()
    complaints.splice(0, complaints.length, ...complaints.filter((one) => !/ (?:503|409) /.test(one)))
  })

  it('fetches nothing for a card that was scrolled past before its turn', async () => {
    const size = page.viewportSize() ?? { width: 1280, height: 900 }
    /** The cards that have asked for a picture, or have one. */
    const names = (which: string) => page.locator(`.card:has(${which}) .name`).allTextContents()
    await page.goto('about:blank')
    await page.setViewportSize({ width: 390, height: 1400 })
    cloud.faults.set([{ on: 'BasicImageProcessing', kind: 'hold', prefix: 'cutouts/' }])
    await page.goto(cloud.controlUrl)
    await page.locator('.gallery').evaluate((gallery) => gallery.scrollIntoView())
    // As many as are fetched at a time.
    await expect.poll(() => cloud.faults.held().length).toBe(4)
    await expect.poll(async () => (await names('.ground')).length).toBeGreaterThan(5)
    const asked = await names('.ground')
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight))
    const last = page.locator('.card').last()
    await last.locator('.ground').waitFor()
    cloud.faults.set([])
    await last.locator('.ground:not(.working) img[src]').waitFor()
    await expect.poll(() => page.locator('.cards .working').count()).toBe(0)
    const got = await names('.ground img[src]')
    expect(asked.filter((name) => got.includes(name))).toHaveLength(4)
    await page.evaluate(() => scrollTo(0, 0))
    await page.setViewportSize(size)
  })

  it('says how to have events, where there are none', async () => {
    await page.getByRole('radio', { name: english.logKinds.announced }).check()
    await page.getByText(english.logNoEvents).waitFor()
    await page.getByRole('radio', { name: english.logKinds.all }).check()
  })

  it('takes a drop wherever it is scrolled to, and shows that', async () => {
    const sign = () => page.evaluate(() => getComputedStyle(document.documentElement, '::after').content)
    const drag = (kind: string) =>
      page.evaluate((kind) => {
        const dataTransfer = new DataTransfer()
        dataTransfer.items.add(new File([], 'photo.jpg'))
        document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true }))
      }, kind)
    const sheet = await open('swap.jpg')
    await drag('dragenter')
    // The sign would lie behind it.
    await sheet.waitFor({ state: 'detached' })
    expect(await sign()).toBe(`"${english.dropNow}"`)
    await drag('dragleave')
    expect(await sign()).toBe('none')
  })

  it('says so when the local cloud ends, and pretends nothing', async () => {
    const sheet = await open('swap.jpg')
    await sheet.locator('.result:not(.working) img[src]').waitFor()
    await cloud.stop()
    await page.getByRole('alert').getByText(english.stopped).waitFor()
    await sheet.getByRole('button', { name: english.remove }).click()
    const ask = page.getByRole('alertdialog')
    await ask.getByRole('button', { name: english.remove }).click()
    await ask.getByRole('alert').getByText(english.offline).waitFor()
    await ask.getByRole('button', { name: english.keep }).click()
    await page.keyboard.press('Escape')
    const fault = page.getByRole('switch', { name: english.faultNames['lost-answer'] })
    await fault.click()
    await page.locator('.toast').getByText(english.offline).waitFor()
    expect(await fault.isChecked()).toBe(false)
    await open('busy-two.jpg')
    await page.locator('.sheet .story .trouble').getByText(english.offline).waitFor()
    expect(await page.locator('.sheet').getByRole('button', { name: english.copyUrl }).isDisabled()).toBe(true)
  })
})
