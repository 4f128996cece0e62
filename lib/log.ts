import { MattingError } from './errors.ts'

/** What a log line may hold. Never a whole event, request or URL, because they hold signatures and tokens. */
export type Fields = Record<string, string | number | boolean | readonly string[] | undefined>

/** Writes one JSON line, which SCF forwards to the log service. */
export function log(fields: Fields): void {
  console.log(JSON.stringify(fields))
}

/** The fields that describe an error. Of a cause that is not a MattingError, only the name and Node's error code are logged. */
export function errorFields(error: MattingError): Fields {
  const { cause } = error
  const why =
    cause instanceof MattingError
      ? cause.message
      : cause instanceof Error
        ? [cause.name, (cause as NodeJS.ErrnoException).code].filter(Boolean).join(' ')
        : undefined
  return { code: error.code, message: error.message, ...(why && { cause: why }) }
}
