import { element } from './element.ts'

const GATHER_MS = 1_000

/** Tells those who do not see it what has changed: a polite region, which says at most one thing a second. */
export function createAnnouncer() {
  const node = element('p', { class: 'quiet', role: 'status' })
  let waiting: string[] = []
  let timer = 0
  return {
    node,
    announce(words: string): void {
      if (!waiting.includes(words)) waiting.push(words)
      if (timer !== 0) return
      timer = setTimeout(() => {
        timer = 0
        node.textContent = waiting.join(' ')
        waiting = []
      }, GATHER_MS)
    },
  }
}
