import { InvalidArgumentError } from '@commander-js/extra-typings'

/** @throws InvalidArgumentError */
export function widths(text: string): number[] {
  const all = text.split(',').map(Number)
  if (all.every((width) => Number.isInteger(width) && width > 0 && width <= 10_000)) return all
  throw new InvalidArgumentError('Expected numbers such as 320,640.')
}

/** In seconds. @throws InvalidArgumentError */
export function time(text: string): number {
  const [, number, unit = 's'] = /^(\d{1,6})([smhd])?$/.exec(text) ?? []
  if (!Number(number)) throw new InvalidArgumentError('Expected a time such as 15m, 12h or 30d.')
  return Number(number) * ({ s: 1, m: 60, h: 3_600, d: 86_400 }[unit] ?? 1)
}

/** @throws InvalidArgumentError */
export function day(text: string): string {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text)) return text
  throw new InvalidArgumentError('Expected a day such as 2026-11-26.')
}

/** Reads a whole number. What it returns throws InvalidArgumentErrors. */
export function whole(least: number) {
  return (text: string): number => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text)
    throw new InvalidArgumentError(`Expected a whole number from ${least} on.`)
  }
}

/** @throws InvalidArgumentError */
export function port(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= 65_531) return value
  throw new InvalidArgumentError('Expected a number, 1 to 65531.')
}

/** @throws InvalidArgumentError */
export function rate(text: string): number {
  const value = Number(text)
  if (value >= 0.01 && value <= 10_000) return value
  throw new InvalidArgumentError('Expected a number, 0.01 to 10000.')
}

/** @throws InvalidArgumentError */
export function date(text: string): Date {
  const value = new Date(text)
  // Date takes much that is no date for one, and the 31st of February for the 3rd of March.
  if (/^\d{4}-\d\d-\d\d(?:T|$)/.test(text) && !Number.isNaN(value.getTime()) && day(text.slice(0, 10))) return value
  throw new InvalidArgumentError('Expected a date, such as 2026-01-31 or 2026-01-31T12:00:00Z.')
}

export function several(text: string, before: string[] = []): string[] {
  return [...before, text]
}
