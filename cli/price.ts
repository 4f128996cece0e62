import { MattingError } from '../lib/errors.ts'

/** The price of a call, which only the operator knows: it is published nowhere. */
export interface Price {
  amount: number
  /** '' if none was said. */
  currency: string
}

/** Reads `0.01` or `0.01 CNY`. @throws MattingError bad-request */
export function readPrice(text: string): Price {
  const [, amount, currency = ''] = /^(\d{1,9}(?:\.\d{1,9})?)\s*([A-Za-z]{3}|[¥$€])?$/.exec(text.trim()) ?? []
  if (amount === undefined)
    throw new MattingError('bad-request', `The price is 0.01 or "0.01 CNY", not ${text.slice(0, 40)}`)
  return { amount: Number(amount), currency: currency.toUpperCase() }
}

/** What so many calls cost, without the noise of binary fractions. */
export function cost(calls: number, { amount }: Price): number {
  return Number((calls * amount).toPrecision(12))
}

export function printCost(calls: number, price: Price): string {
  return `${cost(calls, price).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 6 })} ${price.currency}`.trim()
}
