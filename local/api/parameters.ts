import { ApiError, leftOut } from './error.ts'

type Json = Readonly<Record<string, unknown>>

/** The parameters of a call, or of an object in one: each is read by its type, and none is overlooked. */
export class Parameters {
  readonly #values: Json
  readonly #at: string

  /**
   * @param known the names that are understood here
   * @param others those that the action's page has beside them, with the values that change nothing
   * @throws ApiError UnknownParameter, or UnsupportedOperation by the parameter's name
   */
  constructor(
    values: Json,
    known: readonly string[],
    others: Readonly<Record<string, readonly unknown[]>> = {},
    at = '',
  ) {
    this.#values = values
    this.#at = at
    for (const [name, value] of Object.entries(values)) {
      if (known.includes(name) || value === null) continue
      if (!Object.hasOwn(others, name))
        throw new ApiError('UnknownParameter', `The parameter \`${at}${name}\` is not defined.`)
      if (!others[name]?.some((free) => free === ANY || free === value)) throw leftOut(`the parameter ${at}${name}`)
    }
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== null
  }

  text(name: string): string | undefined {
    return this.#typed(name, 'a string', (value) => typeof value === 'string')
  }

  integer(name: string): number | undefined {
    return this.#typed(name, 'an integer', Number.isSafeInteger)
  }

  flag(name: string): boolean | undefined {
    return this.#typed(name, 'a boolean', (value) => typeof value === 'boolean')
  }

  object(name: string): Json | undefined {
    return this.#typed(name, 'an object', isObject)
  }

  list(name: string): unknown[] | undefined {
    return this.#typed(name, 'an array', Array.isArray)
  }

  /** A list of objects. */
  objects(name: string): Json[] | undefined {
    return this.list(name)?.map((value) => {
      if (isObject(value)) return value
      throw new ApiError('InvalidParameter', `The parameter \`${this.#at}${name}\` must hold objects.`)
    })
  }

  /** One that has to be there. */
  need<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value
    throw new ApiError('MissingParameter', `The request is missing the parameter \`${this.#at}${name}\`.`)
  }

  #typed<T>(
    name: string,
    what: string,
    is: ((value: unknown) => value is T) | ((value: unknown) => boolean),
  ): T | undefined {
    const value = this.#values[name]
    if (value === undefined || value === null) return undefined
    if (!is(value)) throw new ApiError('InvalidParameter', `The parameter \`${this.#at}${name}\` must be ${what}.`)
    return value as T
  }
}

/** A value that changes nothing, whatever it is. */
export const ANY = Symbol('any value')

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A part of a list, as `Offset` and `Limit`, or `Page` and `Rp`, ask for it. */
export function page<T>(all: readonly T[], offset = 0, limit = 20, most = 100): T[] {
  if (offset < 0) throw new ApiError('InvalidParameterValue', 'Where the part begins must not be negative.')
  if (limit < 1 || limit > most) throw new ApiError('InvalidParameterValue', `A part has 1 to ${most} entries.`)
  return all.slice(offset, offset + limit)
}
