import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import { MattingError } from '../lib/errors.ts'
import { replay as unpack } from '../lib/replay.ts'
import { call, get, json, list } from './api.ts'
import { scf } from './function.ts'
import type { Operator } from './operator.ts'

export interface Replayed {
  letters: number
  /** How many events were given to the upload function, or would be. */
  events: number
  /** Letters that hold no event of COS's. */
  unreadable: number
}

/**
 * Gives the events of dead letters to the upload function again, one for each photo. What is cut out by now is found, and not
 * paid again. Without a file, the letters are those of the local cloud's queue. @throws MattingError
 */
export async function replay(operator: Operator, file: string | undefined, isDry: boolean): Promise<Replayed> {
  const { account, stage } = operator
  const letters = file === undefined ? await queued(operator) : readLetters(await read(file))
  const { events, unreadable } = unpack(letters)
  const told = { letters: letters.length, events: events.length, unreadable: unreadable.length }
  if (isDry || events.length === 0) return told
  if (file === undefined) {
    // The local cloud drops a letter when its event is queued again.
    const answer = await get(`http://127.0.0.1:${account.local?.control}/api/dead-letters/replay`, 'POST')
    if (answer.status !== 200) throw new MattingError('unavailable', `The local cloud answered ${answer.status}.`)
    return told
  }
  const upload = stage.functions.find(({ retries }) => retries) ?? stage.functions[0]
  for (const event of events) {
    const ClientContext = JSON.stringify(event)
    await call(account, scf('Invoke', { FunctionName: upload?.name, InvocationType: 'Event', ClientContext }))
  }
  return told
}

async function queued({ account: { local } }: Operator): Promise<unknown[]> {
  if (!local)
    throw new MattingError(
      'bad-request',
      'No API is known that reads the queue of dead letters: receive its messages with your tools, and give them as a file or on standard input (-).',
    )
  const { body } = await get(`http://127.0.0.1:${local.control}/api/dead-letters`)
  return list(json(`{"all":${body}}`).all)
}

async function read(file: string): Promise<string> {
  if (file === '-') return readAll(process.stdin)
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new MattingError('bad-request', `${file} cannot be read: ${Object(error).code}`)
  })
}

/** JSON as a whole, or one letter in each line. */
function readLetters(text: string): unknown[] {
  try {
    const all: unknown = JSON.parse(text)
    return Array.isArray(all) ? all : [all]
  } catch {
    return text.split('\n').filter((line) => line.trim() !== '')
  }
}
