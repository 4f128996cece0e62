/** code → HTTP status, whether a retry can mend it, what the world may read. The README lists the same codes; a test compares. */
const CODES = {
  'bad-request': [400, false, 'The request is malformed.'],
  'bad-layout': [400, false, 'No such layout.'],
  'ambiguous-key': [400, false, 'Two photos have this address: rename one of them, or sign the URL.'],
  'bad-event': [400, false, 'The event is not one that COS sends.'],
  'layout-refused': [403, false, 'This layout is not open to requests; ask for a preset.'],
  'host-refused': [403, false, 'Pictures of this host are not cut out here.'],
  'bad-signature': [
    403,
    false,
    'This URL is not signed, was altered, or was signed with a key that is not known here.',
  ],
  expired: [403, false, 'This URL was signed for a time that is over.'],
  'not-found': [404, false, 'No such photo.'],
  'not-made': [404, false, 'The cutout is not made yet; a GET makes it.'],
  'method-refused': [405, false, 'Only GET and HEAD are answered.'],
  'too-large': [422, false, 'The photo is too large to be cut out.'],
  'not-an-image': [422, false, 'The photo cannot be read as an image.'],
  'no-product': [422, false, 'No product was found in the photo.'],
  'limit-reached': [429, true, 'The paid calls of today are used up; try again tomorrow.'],
  'changing-too-fast': [429, true, 'This photo changes too often; try again in a minute.'],
  refused: [422, false, 'The vendor does not cut out this photo.'],
  denied: [502, true, 'The vendor refused the call: permissions, activation or the account.'],
  misconfigured: [500, false, 'The configuration is wrong.'],
  internal: [500, true, 'Something went wrong here.'],
  unavailable: [503, true, 'The storage does not answer; try again.'],
  busy: [503, true, 'The vendor asks for fewer requests; try again.'],
  changed: [503, true, 'The photo changed meanwhile; try again.'],
  pending: [503, true, 'The cutout is being made; try again.'],
  'unknown-outcome': [503, true, 'What became of the matting call is not known yet; try again.'],
  unannounced: [503, true, 'The event could not be delivered; try again.'],
  timeout: [504, true, 'There was not enough time; try again.'],
} as const satisfies Record<string, readonly [status: number, retryable: boolean, message: string]>

export type Code = keyof typeof CODES

/** The one error of this project. `message` is public: it may be sent to anybody. What is private goes into `cause`. */
export class MattingError extends Error {
  override readonly name = 'MattingError'
  readonly code: Code
  readonly status: number
  /** Whether trying the same again later may succeed. */
  readonly retryable: boolean

  constructor(code: Code, message?: string, options?: { cause?: unknown }) {
    const [status, retryable, standard] = CODES[code]
    super(message ?? standard, options)
    this.code = code
    this.status = status
    this.retryable = retryable
  }

  /** Anything thrown as a MattingError; what is unknown becomes `internal` and keeps its text to itself. */
  static from(thrown: unknown): MattingError {
    return thrown instanceof MattingError ? thrown : new MattingError('internal', undefined, { cause: thrown })
  }
}

/** Every code with its HTTP status, for documentation and its test. */
export const codes: ReadonlyMap<string, { status: number; retryable: boolean; message: string }> = new Map(
  Object.entries(CODES).map(([code, [status, retryable, message]]) => [code, { status, retryable, message }]),
)
