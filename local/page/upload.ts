import { type Api, Refused } from './api.ts'
import { type Cell, cell } from './cell.ts'
import type { Text } from './english.ts'
import { md5 } from './md5.ts'
import { patiently } from './patience.ts'
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
  | { at: 'failed'; why: (text: Text) => string; remedy: 'retry' | 'replace' | undefined }

interface UploadsOptions {
  api: Api
  way: () => Way
  offline: () => string
  /** A photo is in the bucket. @param same it was there before */
  done: (key: string, same: boolean) => Promise<void>
}

/** Sends files as a shop's own page would: presigned requests from the browser to the bucket. */
export function createUploads({ api, way, offline, done }: UploadsOptions) {
  const list = cell<readonly Upload[]>([])
  const waiting: { name: string; work: () => Promise<void> }[] = []
  /** Never two of one name: a photo that is dropped twice would be refused, or come before what is to cut it out on the way. */
  const busy = new Set<string>()

  function next(): void {
    while (busy.size < AT_ONCE) {
      const turn = waiting.findIndex(({ name }) => !busy.has(name))
      const [one] = turn < 0 ? [] : waiting.splice(turn, 1)
      if (!one) return
      busy.add(one.name)
      one.work().finally(() => {
        busy.delete(one.name)
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
    function fail(why: (text: Text) => string, remedy: 'retry' | 'replace' | undefined): void {
      state.set({ at: 'failed', why, remedy })
      list.set([...list.value])
    }
    async function send(): Promise<void> {
      const { name, type, size } = file
      if (size === 0) return fail((text) => text.emptyFile, undefined)
      try {
        state.set({ at: 'sending', percent: 0 })
        // With it the same photo may come again, which pays nothing.
        const hash = await md5(new Uint8Array(await file.arrayBuffer()))
        const { key, url, headers, same } = await api.upload({ name, type, size, way: chosen, md5: hash, replace })
        const answer = await patiently(() =>
          put(file, url, headers, (percent) => state.set({ at: 'sending', percent })),
        )
        // What was sent before may have been stored, though its answer was that of somebody busy.
        const isThere = answer.status === TAKEN && (await api.photo(key)).photo?.etag === hash
        if (answer.status >= 300 && !isThere) throw new Refused(answer.status, reasonIn(answer))
        await done(key, same)
        dismiss()
      } catch (error) {
        const status = error instanceof Refused ? error.status : 0
        if (status === NO_PICTURE) return fail((text) => text.notPicture, undefined)
        if (status === TAKEN) return fail((text) => text.taken, 'replace')
        fail(() => (error instanceof TypeError ? offline() : Object(error).message), 'retry')
      }
    }
    const again = (over: boolean) => {
      replace = over
      state.set({ at: 'queued' })
      list.set([...list.value])
      waiting.push({ name: file.name, work: send })
      next()
    }
    const upload: Upload = { name: file.name, preview, state, again, dismiss }
    waiting.push({ name: file.name, work: send })
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

/** PUTs a file. XMLHttpRequest, because fetch does not tell how much is sent. @throws TypeError when nobody answers, as fetch does */
function put(
  file: File,
  url: string,
  headers: Record<string, string>,
  progress: (percent: number) => void,
): Promise<XMLHttpRequest> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('PUT', url)
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.onprogress = ({ loaded, total }) => progress(Math.round((100 * loaded) / Math.max(1, total)))
    request.onerror = () => reject(new TypeError())
    request.onload = () => resolve(request)
    request.send(file)
  })
}

/** What COS says in its XML. Of a method-two upload the photo may be stored although its cutting was refused. */
function reasonIn({ status, responseText }: XMLHttpRequest): string {
  const [, code = status] = /<Code>([^<]*)<\/Code>/.exec(responseText) ?? []
  const [, why = ''] = /<Message>([^<]*)<\/Message>/.exec(responseText) ?? []
  return [code, why].filter(Boolean).join(': ')
}
