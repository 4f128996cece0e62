import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createCos } from '../lib/cos.ts'
import { layoutName, rule } from '../lib/layout.ts'
import type { Credentials } from '../lib/sign.ts'
import { printView } from '../lib/view.ts'
import type { Clock } from './clock.ts'
import { createConfigured } from './configured.ts'
import type { Cos } from './cos/cos.ts'
import type { Cutting } from './cutting.ts'
import { FAULT_PRESETS } from './faults.ts'
import { describeImage } from './image.ts'
import { createLive } from './live.ts'
import { createMeter } from './meter.ts'
import type { Photo, PhotoAnswer, Place, Story, StoryAnswer } from './page/wire.ts'
import { createPhotos } from './photos.ts'
import type { Receiver } from './receiver.ts'
import type { Scf } from './scf/scf.ts'
import { tellStory } from './story.ts'
import { grantUpload, Refused } from './upload.ts'

export interface RoutesOptions {
  cos: Cos
  scf: Scf
  cutting: Cutting
  clock: Clock
  cosUrl: string
  imageUrl: string
  bucket: string
  region: string
  /** The owner's. */
  credentials: Credentials
  engine: string
  receiver: Pick<Receiver, 'watch'> | undefined
  /** Calls after each reset. */
  onReset: (listener: () => void) => void
}

export type Route = (query: URLSearchParams, body: unknown) => unknown

export interface PageRoutes {
  routes: Record<string, Route>
  /** @param page the page's origin. False if there are too many readers. */
  live: (request: IncomingMessage, response: ServerResponse) => boolean
}

const { version } = Object(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')))

/** What the page asks the control port. */
export function createRoutes(options: RoutesOptions, page: () => string): PageRoutes {
  const { cos, scf, cutting, clock, cosUrl, imageUrl, bucket, region, credentials, receiver, engine } = options
  const { now } = clock
  const configured = createConfigured(scf)
  const meter = createMeter(cos, scf)
  const photos = createPhotos({ cos, scf, cosUrl, configured, now })
  const live = createLive({ cos, scf, cutting, configured, meter: meter.read, receiver, page })
  options.onReset(() => {
    meter.clear()
    live.reset()
  })

  function photo(query: URLSearchParams): Photo {
    const key = query.get('key') ?? ''
    const found = photos.one(key)
    if (!found) throw new Refused(404, `There is no photo ${key}.`)
    return found
  }

  function place(): Place {
    const [upload, image] = [configured.upload(), configured.image()]
    const presets = [...(image?.presets ?? [])].map(([name, { layout, views = [] }]) => {
      const words = [...rule(layout).split('&').slice(1), ...views.slice(0, 1).map(printView)]
      return { name, layout: layoutName(layout), words: words.filter(Boolean).join(',') }
    })
    const where = { cosUrl, imageUrl, bucket: upload?.bucket ?? bucket, region }
    const what = { folders: [...(upload?.sourcePrefixes ?? [])], presets, access: image?.access ?? '', engine }
    const then = { events: upload?.eventsUrl !== undefined, removes: upload?.onDelete === 'remove' }
    return { ...where, ...what, ...then, version: String(version) }
  }

  const routes: Record<string, Route> = {
    'GET /api/place': place,
    'GET /api/meter': meter.read,
    'GET /api/cutting': cutting.list,
    'GET /api/photos': (query) => photos.list(query.get('after') ?? '', Number(query.get('limit'))),
    'GET /api/photo': (query): PhotoAnswer => {
      const found = photos.one(query.get('key') ?? '')
      return found ? { photo: found } : {}
    },
    'DELETE /api/photos': async (query) => {
      const { key } = photo(query)
      const time = { deadline: now() + 20_000, now, random: Math.random }
      await createCos({ endpoint: cosUrl, credentials, ...time }).delete(key)
      return {}
    },
    'POST /api/uploads': (_, body) => grantUpload(body, { cos, cosUrl, configured, credentials, clock }),
    'GET /api/image': (query) =>
      describeImage(photo(query), query.get('text') || 'plain', { cos, imageUrl, configured, now }),
    'GET /api/story': (query): Promise<Story> | StoryAnswer => {
      const found = photos.one(query.get('key') ?? '')
      return found ? tellStory(found, { cos, scf, configured, now }) : {}
    },
    'GET /api/faults/presets': () => FAULT_PRESETS,
  }
  return { routes, live: live.open }
}
