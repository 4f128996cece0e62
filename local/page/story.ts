import { element } from './element.ts'
import { phrase } from './english-story.ts'
import { icon } from './icon.ts'
import type { Scene } from './scene.ts'
import type { Step, Story } from './wire.ts'

const ICONS = { done: 'check', waiting: 'dot', failed: 'cross', missing: 'dash' } as const

/** What happened to a photo, step by step. */
export function story({ text, api }: Scene, key: string) {
  const node = element('div', { class: 'story' })
  let asked = 0
  async function look(): Promise<void> {
    const mine = ++asked
    const drawn = await api.story(key).then(
      (told) => (told.steps ? draw(told) : [element('p', { class: 'help' }, text.storyNone)]),
      ({ message }: Error) => [element('p', { class: 'trouble' }, message)],
    )
    // A later answer may have come first.
    if (mine === asked) node.replaceChildren(...drawn)
  }
  function draw({ steps, reason }: Story): Node[] {
    const began = steps.find(({ at }) => at !== undefined)?.at
    return [
      element('p', { class: 'help' }, text.told.reason(reason)),
      element('ol', {}, ...steps.map((step) => drawStep(step, began))),
    ]
  }
  function drawStep({ step, at, ms, state, said }: Step, began: string | undefined): HTMLElement {
    const when = at === undefined || began === undefined ? '' : since(new Date(at), new Date(began))
    return element(
      'li',
      { 'data-state': state },
      element('span', { class: 'mark' }, icon(ICONS[state]), element('span', { class: 'quiet' }, text.states[state])),
      element('b', {}, text.steps[step]),
      element('time', { datetime: at }, when),
      element('p', {}, phrase(text.told, said), ms !== undefined && ` (${time(ms)})`),
    )
  }
  return { node, look }
}

/** How long after; or the time of day, for the first and for what lies far from it. */
function since(at: Date, began: Date): string {
  const later = at.getTime() - began.getTime()
  return later > 0 && later < 60_000 ? `+${time(later)}` : at.toTimeString().slice(0, 8)
}

function time(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}
