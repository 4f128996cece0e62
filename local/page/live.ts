import { type Cell, cell } from './cell.ts'
import type { LiveEvents } from './wire.ts'

/** So many lines are kept; older ones go. */
export const LINES = 400
const AGAIN_MS = 2_000

type Told = { [K in 'request' | 'invocation' | 'announced' | 'missed']: { type: K; told: LiveEvents[K] } }
/** What happened, and when the page heard of it. */
export type Line = Told[keyof Told] & { at: Date; number: number }

export interface Live {
  state: Cell<'connecting' | 'open' | 'stopped'>
  lines: Line[]
  /** Counts up whenever there are other lines. */
  changes: Cell<number>
  clear(): void
}

interface LiveOptions {
  photo: (key: string) => void
  cutting: (picture: LiveEvents['cutting']) => void
  meter: (meter: LiveEvents['meter']) => void
  /** It is connected, perhaps again, or was too slow: what happened meanwhile was not heard. */
  open: () => void
  /** All is gone. */
  reset: () => void
}

/** Listens to what happens inside. */
export function createLive({ photo, cutting, meter, open, reset }: LiveOptions): Live {
  const state = cell<'connecting' | 'open' | 'stopped'>('connecting')
  const changes = cell(0)
  const lines: Line[] = []
  let number = 0
  function keep(line: Told[keyof Told]): void {
    number += 1
    // A run is told of when it begins and when it has ended: that is one line.
    const begun =
      line.type === 'invocation'
        ? lines.findIndex((one) => one.type === 'invocation' && one.told.id === line.told.id)
        : -1
    const at = lines[begun]?.at ?? new Date()
    if (begun >= 0) lines.splice(begun, 1)
    lines.push({ ...line, at, number })
    if (lines.length > LINES) lines.splice(0, lines.length - LINES)
    changes.set(changes.value + 1)
  }

  function connect(): void {
    const source = new EventSource('/api/live')
    function listen<K extends keyof LiveEvents>(type: K, hear: (told: LiveEvents[K]) => void): void {
      source.addEventListener(type, ({ data }: MessageEvent<string>) => hear(JSON.parse(data)))
    }
    source.onopen = () => {
      state.set('open')
      open()
    }
    source.onerror = () => {
      state.set('stopped')
      // The browser connects again by itself, as long after as the cloud has said (`retry:`), but not after a refusal.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS)
    }
    listen('request', (told) => keep({ type: 'request', told }))
    listen('invocation', (told) => keep({ type: 'invocation', told }))
    listen('announced', (told) => keep({ type: 'announced', told }))
    listen('missed', (told) => {
      keep({ type: 'missed', told })
      open()
    })
    listen('reset', () => {
      reset()
      open()
    })
    listen('photo', ({ key }) => photo(key))
    listen('cutting', cutting)
    listen('meter', meter)
  }
  connect()
  return {
    state,
    lines,
    changes,
    clear() {
      lines.length = 0
      changes.set(changes.value + 1)
    },
  }
}
