import type { Settings } from './environment.ts'
import { MattingError } from './errors.ts'
import type { Invocation } from './invocation.ts'

/** What a function tells of itself: names, never a value. */
export interface SelfTest {
  /** The variables that it sees. */
  names: string[]
  /** What its role may do: `ok`, or the error's code. */
  probes: Record<string, string>
}

/** Whether an event asks for it. A trigger's or a function URL's has other keys, whatever somebody sends. */
export function isSelfTest(event: unknown): boolean {
  return Object.keys(Object(event)).join() === 'self-test'
}

/** Tries what the functions do, but for what costs money. */
export async function selfTest(settings: () => Settings, open: (settings: Settings) => Invocation): Promise<SelfTest> {
  const probes: SelfTest['probes'] = {}
  let names: string[] = []
  const probe = async (name: string, work: () => unknown) => {
    try {
      await work()
      probes[name] = 'ok'
    } catch (error) {
      const { code, message } = MattingError.from(error)
      // Of what is misconfigured, only the variables' names.
      probes[name] = message.match(/^[A-Z_]{5,}/gm)?.join() ?? code
    }
  }
  await probe('environment', async () => {
    const seen = settings()
    names = seen.names()
    const { cos, store, config, uuid } = open(seen)
    const key = `${config.cutoutPrefix}.self-test/${uuid()}`
    const put = () => store.put(key, '', { type: 'text/plain', forbidOverwrite: true })
    await probe('read', () => cos.head(config.sourcePrefixes[0] ?? ''))
    await probe('list', () => store.list(key).next())
    await probe('write', put)
    await probe('forbid-overwrite', async () => {
      if (await put()) throw new MattingError('changed')
    })
    await probe('delete', () => store.delete(key))
  })
  return { names, probes }
}
