import { accessSync, appendFileSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { MattingError } from '../lib/errors.ts'
import { quietly } from '../lib/quietly.ts'

/** The file that `run --from` takes. */
export interface Failures {
  /** How many were written. */
  count(): number
  /**
   * `code`: of an error; `unfinished` or `dead-letter`. @returns why it could not be written: then nothing more should be begun
   */
  add(key: string, failure: { code: string; message: string }): string | undefined
}

/**
 * Appends failures to a file, one JSON object a line, so that any key survives. It is written at once, for a run may be killed;
 * without a failure there is no file. @throws MattingError bad-request, before anything is paid
 */
export function openFailures(file: string, clock: () => number): Failures {
  const isWritable = quietly(() => accessSync(existsSync(file) ? file : dirname(file), constants.W_OK) === undefined)
  if (!isWritable) throw new MattingError('bad-request', `--failures: ${file} cannot be written. Nothing was done.`)
  let count = 0
  return {
    count: () => count,
    add(key, { code, message }) {
      const line = `${JSON.stringify({ key, code, message, at: new Date(clock()).toISOString() })}\n`
      try {
        appendFileSync(file, line)
      } catch (error) {
        return `${file} cannot be written: ${Object(error).code}`
      }
      count++
      return undefined
    },
  }
}
