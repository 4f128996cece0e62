import { type Api, Refused } from './api.ts'
import { type Cell, cell } from './cell.ts'
import { md5 } from './md5.ts'
import type { Way } from './remembered.ts'

/** So many at a time: more would only share the line, and let all of them seem to stand still. */
const AT_ONCE = 3
/** The answer where another photo has the name. */
const TAKEN = 409
/** The answer where it is a picture of another kind, or none. */
const NO_PICTURE = 415

/** A file on its way into the bucket. */
export interface Upload {
  name: string
  /** Shows the file before it is anywhere. */
  preview: string
  state: Cell<UploadState>
  /** Tries again what failed. @param replace whether another photo of this name may go */
  again: (replace: boolean) => void
  /** Forgets it. */
  dismiss: () => void
}
/** `replace` where another photo has its name; there is none for what is no picture. */
export type UploadState =
  | { at: 'queued' }
  | { at: 'sending'; percent: number }
  | { at: 'failed'; why: string; remedy: 'retry' | 'replace' | undefined }

interface UploadsOptions {
  api: Api
  way: () => Way
  /** What to say of a file that is no picture, and of a line that broke. */
  words: { notPicture: () => string; offline: () => string }
  /** A photo is in the bucket. */
  done: (key: string) => Promise<void>
}

/** Sends files as a shop's own page would: presigned requests from the browser to the bucket. */
export function createUploads({ api, way, words, done }: UploadsOptions) {
  const list = cell<readonly Upload[]>([])
  const waiting: (() => Promise<void>)[] = []
  let busy = 0

  function next(): void {
    while (busy < AT_ONCE) {
      const work = waiting.shift()
      if (!work) return
      busy++
      work().finally(() => {
        busy--
        next()
      })
    }
  }

  function make(file: File): Upload {
    const state = cell<UploadState>({ at: 'queued' })
    const preview = URL.createObjectURL(file)
    const dismiss = () => {
      list.set(list.value.filter((one) => one !== upload))
      URL.revokeObjectURL(preview)
    }
    // Asked when it is dropped, not when its turn has come: the switch may have moved since.
    const chosen = way()
    let replace = false
    async function send(): Promise<void> {
      try {
        state.set({ at: 'sending', percent: 0 })
        const { name, type, size } = file
        // With it the same photo may come again, which pays nothing.
        const hash = await md5(new Uint8Array(await file.arrayBuffer()))
        const { key, url, headers } = await api.upload({ name, type, size, way: chosen, md5: hash, replace })
        await put(file, url, headers, words.offline, (percent) => state.set({ at: 'sending', percent }))
        await done(key)
        dismiss()
      } catch (error) {
        const status = error instanceof Refused ? error.status : 0
        if (status === NO_PICTURE) return state.set({ at: 'failed', why: words.notPicture(), remedy: undefined })
        const remedy = status === TAKEN ? 'replace' : 'retry'
        state.set({ at: 'failed', why: error instanceof Error ? error.message : String(error), remedy })
      }
    }
    const again = (over: boolean) => {
      replace = over
      state.set({ at: 'queued' })
      waiting.push(send)
      next()
    }
    const upload: Upload = { name: file.name, preview, state, again, dismiss }
    waiting.push(send)
    return upload
  }

  return {
    list,
    send(files: Iterable<File>): void {
      const added = Array.from(files, make)
      list.set([...added, ...list.value])
      next()
    },
  }
}
export type Uploads = ReturnType<typeof createUploads>

/** PUTs a file. XMLHttpRequest, because fetch does not tell how much is sent. */
function put(
  file: File,
  url: string,
  headers: Record<string, string>,
  offline: () => string,
  progress: (percent: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('PUT', url)
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.onprogress = ({ loaded, total }) => progress(Math.round((100 * loaded) / Math.max(1, total)))
    request.onerror = () => reject(new Refused(0, offline()))
    request.onload = () => {
      if (request.status < 300) return resolve()
      // COS answers in XML. Of a method-two upload the photo may be stored although its cutting was refused.
      const [, code = request.status] = /<Code>([^<]*)<\/Code>/.exec(request.responseText) ?? []
      const [, why = ''] = /<Message>([^<]*)<\/Message>/.exec(request.responseText) ?? []
      reject(new Refused(request.status, [code, why].filter(Boolean).join(': ')))
    }
    request.send(file)
  })
}
