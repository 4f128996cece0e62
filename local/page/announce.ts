import { element, write } from './element.ts'

/** What comes together is told together. */
const GATHER_MS = 300
const SHOWN_MS = 6_000

/** Tells what has changed: read aloud when there is time for it (a polite region), and seen for a while. */
export function createAnnouncer() {
  // Always there, though empty: what is not drawn is not read aloud.
  const node = element('p', { class: 'toast', role: 'status' })
  let waiting: string[] = []
  let timer = 0
  function clear(): void {
    write(node, '')
  }
  function tell(): void {
    // What lies behind a dialog is neither seen nor read aloud.
    const place = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body
    if (node.parentElement !== place) place.append(node)
    write(node, waiting.join(' '))
    waiting = []
    timer = setTimeout(clear, SHOWN_MS)
  }
  return {
    node,
    /** As long as nothing new is told. */
    clear,
    announce(words: string): void {
      if (!waiting.includes(words)) waiting.push(words)
      clearTimeout(timer)
      timer = setTimeout(tell, GATHER_MS)
    },
  }
}
