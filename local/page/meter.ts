import { element, freshId, write } from './element.ts'
import type { Scene } from './scene.ts'
import { kilobytes } from './size.ts'

/** What was paid, what was not, and what it would cost. */
export function meter({ text, meter, remembered, shown, signal }: Scene): HTMLElement {
  const figure = (label: string, help: Node | string) => {
    const value = element('strong', {}, '–')
    return {
      value,
      node: element('div', {}, element('dt', {}, label), element('dd', {}, value, element('small', {}, help))),
    }
  }
  const id = freshId()
  const price = element('input', {
    id,
    type: 'number',
    min: 0,
    step: 'any',
    inputmode: 'decimal',
    value: remembered.price.value,
    'aria-label': text.price,
    input: () => {
      const given = price.valueAsNumber
      if (given >= 0) remembered.price.set(given)
    },
  })
  const cutouts = element('span', {}, '–')
  const paid = figure(text.paid, cutouts)
  const saved = figure(text.saved, text.savedHelp)
  const cost = figure(text.cost, element('label', { for: id }, `${text.pricedAt} ¥ `, price))
  const raw = element('span', {}, text.shownNone)
  const sent = figure(text.shownBytes, raw)
  const count = () => {
    const now = meter.value
    if (!now) return
    write(paid.value, now.paid.toLocaleString('en'))
    write(cutouts, text.paidFor(now.cutouts))
    write(saved.value, now.saved.toLocaleString('en'))
    write(cost.value, `¥ ${money(now.paid * remembered.price.value)}`)
  }
  meter.watch(signal, count)
  remembered.price.watch(signal, count)
  shown.watch(signal, ({ bytes, raw: whole }) => {
    write(sent.value, whole > 0 ? kilobytes(bytes) : '–')
    write(raw, whole > 0 ? text.shownHelp(kilobytes(whole)) : text.shownNone)
  })
  return element(
    'section',
    { class: 'meter', 'aria-label': text.meter },
    element('dl', {}, paid.node, saved.node, cost.node, sent.node),
  )
}

/** Two digits, and as many more as a small amount needs. */
function money(amount: number): string {
  return amount.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 4 })
}
