import type {
  Fault,
  FaultPreset,
  ImageAnswer,
  Meter,
  PhotoAnswer,
  Photos,
  Place,
  StoryAnswer,
  UploadAsk,
  UploadGrant,
} from './wire.ts'

/** A fault that is set. */
export type StruckFault = Fault & { struck: number }

/** The control port refused; `message` is its reason. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The routes of the control port that the page uses. @param offline what to say when nobody answers */
export function createApi(offline: () => string) {
  // The page and the control port are of one version and one process, and share the types of wire.ts.
  async function ask<T>(path: string, method = 'GET', body?: unknown): Promise<T> {
    const sent = { method, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const answer = await fetch(path, sent).catch(() => {
      throw new Refused(0, offline())
    })
    const json: unknown = await answer.json().catch(() => undefined)
    if (answer.ok && typeof json === 'object' && json !== null) return json as T
    throw new Refused(answer.status, String(Object(json).error ?? answer.status))
  }
  const query = (given: Record<string, string>) => `?${new URLSearchParams(given)}`
  return {
    place: () => ask<Place>('/api/place'),
    meter: () => ask<Meter>('/api/meter'),
    photos: (limit: number, after?: string) =>
      ask<Photos>(`/api/photos${query({ limit: String(limit), ...(after !== undefined && { after }) })}`),
    photo: (key: string) => ask<PhotoAnswer>(`/api/photo${query({ key })}`),
    remove: (key: string) => ask<object>(`/api/photos${query({ key })}`, 'DELETE'),
    image: (key: string, text: string) => ask<ImageAnswer>(`/api/image${query({ key, text })}`),
    story: (key: string) => ask<StoryAnswer>(`/api/story${query({ key })}`),
    upload: (body: UploadAsk) => ask<UploadGrant>('/api/uploads', 'POST', body),
    faultPresets: () => ask<FaultPreset[]>('/api/faults/presets'),
    faults: () => ask<StruckFault[]>('/api/faults'),
    setFaults: (faults: readonly Fault[]) => ask<StruckFault[]>('/api/faults', 'PUT', faults),
  }
}
export type Api = ReturnType<typeof createApi>
