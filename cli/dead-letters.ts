import { quietly } from '../lib/quietly.ts'
import { replay } from '../lib/replay.ts'
import { fields, get, list, text } from './api.ts'
import type { Operator } from './operator.ts'

/** What the platform has given up. */
export interface DeadLetters {
  /** The keys of the objects of letters that came since the last look. */
  look(): Promise<{ key: string; message: string }[]>
}

/** Of the local cloud alone: on an account they go to a queue, and no API that we know of reads it without taking them out. */
export async function openDeadLetters({ account, config }: Operator): Promise<DeadLetters> {
  const { local } = account
  const seen = new Set<string>()
  const [, name = '', appid = ''] = /^(.*)-(\d+)$/.exec(config.bucket) ?? []
  const prefix = `/${appid}/${name}/`
  const look = async () => {
    if (!local) return []
    const { body } = await get(`http://127.0.0.1:${local.control}/api/dead-letters`)
    const letters = list(JSON.parse(body.toString())).filter(({ id }) => !seen.has(text(id)))
    for (const { id } of letters) seen.add(text(id))
    return letters.flatMap((letter) =>
      replay([letter]).events.flatMap(({ Records }) => {
        const { key } = fields(fields(fields(Records[0]).cos).cosObject)
        const spelt = text(key).slice(prefix.length)
        return text(key).startsWith(prefix)
          ? [{ key: quietly(() => decodeURIComponent(spelt)) ?? spelt, message: text(letter.ErrorMessage) }]
          : []
      }),
    )
  }
  // What was there before is none of ours.
  await look()
  return { look }
}
