/**
 * What an error is about. This decides what it means for others who want the same cutout:
 * - `request`: only this request.
 * - `photo`: this version of the photo. No retry mends it, and it is noted until the photo changes.
 * - `layout`: the same for one layout of it.
 * - `order`: a limit forbids paying now. The event goes back to the platform, and its dead letter
 *   can be delivered later.
 * - `account`: only an operator can mend it. Everybody who waits for the cutout gets this error at once.
 * - `moment`: the same may succeed in a moment, so the next attempt is free.
 */
export type About = 'request' | 'photo' | 'layout' | 'order' | 'account' | 'moment'

/**
 * code → HTTP status, whether a retry can mend it, what it is about, the public message. docs/http.md lists the same codes; a
 * test compares them.
 */
const CODES = {
  'bad-request': [400, false, 'request', 'The request is malformed.'],
  'bad-layout': [400, false, 'layout', 'No such layout.'],
  'bad-view': [400, false, 'request', 'No such view.'],
  'ambiguous-key': [400, false, 'request', 'Two photos have this address: rename one of them, or sign the URL.'],
  'bad-event': [400, false, 'request', 'The event is not one that COS sends.'],
  'layout-refused': [403, false, 'request', 'This layout is not open to requests; ask for a preset.'],
  'host-refused': [403, false, 'request', 'Pictures of this host are not cut out here.'],
  'bad-signature': [
    403,
    false,
    'request',
    'This URL is not signed, was altered, or was signed with a key that is not known here.',
  ],
  expired: [403, false, 'request', 'This URL has expired.'],
  'not-found': [404, false, 'request', 'No such photo.'],
  'not-a-source': [404, false, 'request', 'This address is not in a source folder.'],
  'not-made': [404, false, 'request', 'The cutout is not made yet; a GET makes it.'],
  'method-refused': [405, false, 'request', 'Only GET and HEAD are answered.'],
  'too-large': [422, false, 'photo', 'The photo is too large to be cut out.'],
  'not-an-image': [422, false, 'photo', 'The photo cannot be read as an image.'],
  'no-product': [422, false, 'photo', 'No product was found in the photo.'],
  'no-view': [422, false, 'request', 'The cutout cannot be shown in this way.'],
  'limit-reached': [429, true, 'order', 'The paid calls of today are used up; try again tomorrow.'],
  'changing-too-fast': [429, true, 'order', 'This photo changes too often; try again in a minute.'],
  refused: [422, false, 'layout', 'The vendor does not cut out this photo.'],
  denied: [502, true, 'account', 'The vendor refused the call: permissions, activation or the account.'],
  misconfigured: [500, false, 'account', 'The configuration is wrong.'],
  internal: [500, true, 'moment', 'Something went wrong here.'],
  unavailable: [503, true, 'moment', 'The storage does not answer; try again.'],
  busy: [503, true, 'moment', 'The vendor asks for fewer requests; try again.'],
  changed: [503, true, 'moment', 'The photo changed meanwhile; try again.'],
  pending: [503, true, 'moment', 'The cutout is being made; try again.'],
  'unknown-outcome': [503, true, 'moment', 'The outcome of the matting call is not known yet; try again.'],
  unannounced: [503, true, 'moment', 'The event could not be delivered; try again.'],
  timeout: [504, true, 'moment', 'There was not enough time; try again.'],
} as const satisfies Record<string, readonly [status: number, retryable: boolean, about: About, message: string]>

export type Code = keyof typeof CODES

/** The one error of this project. `message` is public: it may be sent to anybody. Private text goes into `cause`. */
export class MattingError extends Error {
  override readonly name = 'MattingError'
  readonly code: Code
  readonly status: number
  /** Whether trying the same again later may succeed. */
  readonly retryable: boolean
  readonly about: About

  constructor(code: Code, message?: string, options?: { cause?: unknown }) {
    const [status, retryable, about, standard] = CODES[code]
    super(message ?? standard, options)
    this.code = code
    this.status = status
    this.retryable = retryable
    this.about = about
  }

  /** Turns anything thrown into a MattingError. An unknown error becomes `internal`, and its text is not made public. */
  static from(thrown: unknown): MattingError {
    return thrown instanceof MattingError ? thrown : new MattingError('internal', undefined, { cause: thrown })
  }
}

/**
 * Whether neither a retry nor an operator can mend an error, because it is about the photo itself or one layout of it. Such a
 * failure is noted, and its event is not delivered again.
 */
export function isFinal({ about }: MattingError): boolean {
  return about === 'photo' || about === 'layout'
}

export function isCode(value: unknown): value is Code {
  return typeof value === 'string' && codes.has(value)
}

/** Every code with its HTTP status, for documentation and its test. */
export const codes: ReadonlyMap<string, { status: number; retryable: boolean; about: About; message: string }> =
  new Map(
    Object.entries(CODES).map(([code, [status, retryable, about, message]]) => [
      code,
      { status, retryable, about, message },
    ]),
  )
