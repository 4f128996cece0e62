import { choices } from './control.ts'
import { arrange, element, freshId, write } from './element.ts'
import type { Text } from './english.ts'
import { icon } from './icon.ts'
import type { Line } from './live.ts'
import type { Scene } from './scene.ts'

/** So many lines are drawn. */
const DRAWN = 120
const KINDS = ['all', 'request', 'invocation', 'announced', 'refused'] as const
type Kind = (typeof KINDS)[number]

/** What happens inside, the newest first. No live region: it would read aloud without end. */
export function log({ text, live, place, signal }: Scene): HTMLElement {
  const list = element('ol', { class: 'lines', tabindex: 0, 'aria-label': text.log })
  const note = element('p', { class: 'help' })
  let kind: Kind = 'all'
  let paused = false
  let seen = 0
  let drawing = false
  const rows = new WeakMap<Line, HTMLElement>()

  const id = freshId()
  const filter = element('input', { id, type: 'search', placeholder: text.logFilter, input: () => draw() })
  const pause = element('button', { type: 'button', click: () => hold(!paused) })
  const clear = element('button', { type: 'button', click: () => live.clear() }, icon('bin'), text.clear)

  function hold(now: boolean): void {
    paused = now
    pause.replaceChildren(icon(paused ? 'play' : 'pause'), paused ? text.resume : text.pause)
    draw()
  }

  function draw(): void {
    const newest = live.lines.at(-1)?.number ?? 0
    if (paused && live.lines.length > 0) {
      write(note, newest > seen ? text.newLines(newest - seen) : '')
    } else {
      seen = newest
      write(note, live.lines.length === 0 ? text.logEmpty : '')
    }
    const words = filter.value.trim().toLowerCase()
    const shown: HTMLElement[] = []
    for (let i = live.lines.length - 1; i >= 0 && shown.length < DRAWN; i--) {
      const line = live.lines[i]
      if (!line || line.number > seen || !isOf(kind, line)) continue
      const row = rows.get(line) ?? drawLine(text, line)
      rows.set(line, row)
      if (words === '' || row.textContent?.toLowerCase().includes(words)) shown.push(row)
    }
    const none = kind === 'announced' && place.value?.events === false ? text.logNoEvents : text.logNone
    // Lines that came while it is paused are told of first.
    if (shown.length === 0 && live.lines.length > 0 && note.textContent === '') write(note, none)
    note.hidden = note.textContent === ''
    arrange(list, shown)
  }

  live.changes.watch(signal, () => {
    if (drawing) return
    drawing = true
    // At most once a frame, and not at all in a window that nobody sees.
    requestAnimationFrame(() => {
      drawing = false
      draw()
    })
  })
  hold(false)
  return element(
    'section',
    { class: 'log', 'aria-labelledby': 'log' },
    element('div', { class: 'head' }, element('h3', { id: 'log' }, text.log), pause, clear),
    choices({
      legend: text.logShow,
      hideLegend: true,
      choices: KINDS.map((value) => ({ value, label: text.logKinds[value] })),
      current: kind,
      choose: (value) => {
        kind = value
        draw()
      },
    }),
    element('label', { class: 'quiet', for: id }, text.logFilter),
    filter,
    note,
    list,
  )
}

function isOf(kind: Kind, line: Line): boolean {
  if (kind === 'refused') return isRefusal(line)
  return kind === 'all' || line.type === kind
}

function isRefusal(line: Line): boolean {
  if (line.type === 'request') return line.told.status >= 400 && line.told.code !== undefined
  return line.type === 'invocation' && line.told.why !== undefined
}

function drawLine(text: Text, line: Line): HTMLElement {
  const time = line.at.toTimeString().slice(0, 8)
  const row = (kind: string, what: string, facts: readonly (string | false | undefined)[], paid = 0) =>
    element(
      'li',
      { class: isRefusal(line) ? 'refused' : undefined, 'data-kind': kind },
      element('time', {}, time),
      element('span', { class: 'what' }, what),
      element('span', { class: 'facts' }, facts.filter(Boolean).join(' · ')),
      paid > 0 && element('span', { class: 'paid' }, text.paidCalls(paid)),
    )
  if (line.type === 'request') {
    const { method, operation, key, status, ms, who, paid, code } = line.told
    return row(
      'request',
      `${method} ${short(key ?? operation)}`,
      [`${status}`, code, `${Math.round(ms)} ms`, text.who[who]],
      paid,
    )
  }
  if (line.type === 'invocation') {
    const { function: name, instance, cold, retry, ms, outcome, key, paid, why } = line.told
    const again = retry > 0 && text.retryNumber(retry)
    return row(
      'invocation',
      `${name} ${short(key ?? '')}`,
      [
        outcomeOf(text, outcome),
        why,
        `${Math.round(ms)} ms`,
        text.instance(instance),
        cold ? text.cold : text.warm,
        again,
      ],
      paid,
    )
  }
  if (line.type === 'announced') return row('announced', `${line.told.type} ${short(line.told.key)}`, [line.told.id])
  return row('missed', text.missed(line.told.events), [])
}

/** A key without the length of its fingerprints. */
function short(key: string): string {
  return key.replace(/[\da-f]{32}/g, (etag) => `${etag.slice(0, 8)}…`)
}

function outcomeOf({ outcomes }: Text, outcome: string): string {
  return Object.entries(outcomes).find(([name]) => name === outcome)?.[1] ?? outcome
}
