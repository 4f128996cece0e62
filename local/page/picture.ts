import { patiently } from './patience.ts'
import type { ImageAnswer, Photo } from './wire.ts'

/** A picture as an image URL gave it. */
export interface Picture {
  /** For `src`: the same bytes, so that nothing is fetched twice. */
  src: string
  bytes: number
  type: string
}

/** So many at a time: a browser opens six connections to a host, and a click should not wait behind a whole gallery. */
const AT_ONCE = 4
/** So many are kept. What is shown stays shown when it goes: an element has decoded it. */
const KEPT = 300

interface Waiting {
  start: () => void
  urgent: boolean
}

interface Need {
  /** Before those that nobody clicked for. */
  urgent: boolean
  /** Whether it is still wanted when its turn has come. */
  wanted: () => boolean
}

interface Kept {
  made: Promise<Picture>
  /** Of those who wait until its turn has come. */
  needs: Need[] | undefined
}

/** Fetches pictures, the urgent ones first, and keeps them. @param image asks the control port for an image URL */
export function createPictures(
  image: (key: string, words: string) => Promise<Pick<ImageAnswer, 'url' | 'recent'>>,
  offline: () => string,
) {
  const kept = new Map<string, Kept>()
  const waiting: Waiting[] = []
  let busy = 0

  const turn = (urgent: boolean) =>
    new Promise<void>((start) => {
      if (busy < AT_ONCE) {
        busy++
        start()
      } else waiting.push({ start, urgent })
    })
  const leave = () => {
    const next = waiting.findIndex(({ urgent }) => urgent)
    const [one] = waiting.splice(Math.max(0, next), 1)
    if (one) one.start()
    else busy--
  }

  async function load(key: string, words: string, { urgent, wanted }: Need): Promise<Picture> {
    await turn(urgent)
    try {
      if (!wanted()) throw new DOMException('', 'AbortError')
      const { url, recent } = await image(key, words)
      // The image URL redirects to another port, after which a browser names no origin; the guard reads the referrer instead.
      const answer = await patiently(() =>
        fetch(url, {
          headers: { accept: 'image/avif,image/webp,image/*' },
          // What caches and warm instances remember of the URL may be of another photo.
          cache: recent ? 'reload' : 'default',
          referrerPolicy: 'origin',
        }),
      )
      if (!answer.ok) throw new Error(await reason(answer))
      const blob = await answer.blob()
      return { src: URL.createObjectURL(blob), bytes: blob.size, type: blob.type }
    } catch (error) {
      // What fetch itself throws when nobody answers.
      throw error instanceof TypeError ? new Error(offline()) : error
    } finally {
      leave()
    }
  }

  return {
    /** The same picture of the same version is fetched once. @param words of the image URL */
    fetch({ key, etag }: Pick<Photo, 'key' | 'etag'>, words: string, need: Need): Promise<Picture> {
      const id = `${etag} ${words} ${key}`
      const there = kept.get(id)
      if (there) {
        there.needs?.push(need)
        kept.delete(id)
        kept.set(id, there)
        return there.made
      }
      // Whoever asked first may have gone before its turn comes, while another one waits for the same.
      const wanted = () => {
        const { needs = [] } = one
        one.needs = undefined
        return needs.some(({ wanted }) => wanted())
      }
      const made = load(key, words, { ...need, wanted })
      const one: Kept = { made, needs: [need] }
      kept.set(id, one)
      made.catch(() => kept.delete(id))
      const [oldest] = kept.size > KEPT ? kept.entries() : []
      if (oldest) {
        kept.delete(oldest[0])
        oldest[1].made.then(({ src }) => URL.revokeObjectURL(src)).catch(() => {})
      }
      return made
    },
  }
}
export type Pictures = ReturnType<typeof createPictures>

/** What the problem details of an answer say (RFC 9457), or COS in its XML. */
async function reason(answer: Response): Promise<string> {
  const text = await answer.text()
  try {
    const { code, detail, title } = Object(JSON.parse(text))
    return [code, detail ?? title].filter(Boolean).join(': ')
  } catch {
    const [, code] = /<Code>([^<]*)<\/Code>/.exec(text) ?? []
    return code ?? `${answer.status}`
  }
}
