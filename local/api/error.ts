/** A call that is refused: becomes the vendor's `{"Response": {"Error": …}}`. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: string

  /** @param code as the action's page lists it, or the list of those that all actions have */
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** What the vendor does and the local cloud does not, by name. */
export function leftOut(what: string): ApiError {
  return new ApiError('UnsupportedOperation', `The local cloud does not implement ${what}.`)
}
