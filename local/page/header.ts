import { choices, select } from './control.ts'
import { element, write } from './element.ts'
import { icon } from './icon.ts'
import { logo } from './illustration.ts'
import { type Language, TEXTS, THEMES } from './remembered.ts'
import type { Scene } from './scene.ts'

const ICONS = { system: 'system', light: 'sun', dark: 'moon' } as const
const LANGUAGES: readonly (readonly [Language, string])[] = [
  ['en', TEXTS.en.language],
  ['zh-Hans', TEXTS['zh-Hans'].language],
]

/** The name, whether the cloud is there, and what a person may choose for all of the page. */
export function header({ text, remembered, live, signal }: Scene): HTMLElement {
  const state = element('span', { class: 'state' })
  live.state.watch(signal, (now) => {
    state.dataset.state = now
    write(state, now === 'open' ? text.live : now === 'stopped' ? text.gone : text.connecting)
  })
  const language = select(text.chooseLanguage, LANGUAGES, remembered.language.value, remembered.language.set)
  language.classList.add('language')
  return element(
    'header',
    {},
    element('p', { class: 'brand' }, logo(), element('b', {}, 'cos-goods-matting'), element('span', {}, text.brand)),
    state,
    element(
      'div',
      { class: 'row', role: 'group', 'aria-label': text.settings },
      language,
      choices({
        legend: text.theme,
        hideLegend: true,
        kind: 'strip icons',
        choices: THEMES.map((value) => ({ value, label: text.themes[value], face: icon(ICONS[value]) })),
        current: remembered.theme.value,
        choose: remembered.theme.set,
      }),
    ),
  )
}

/** Tells when the cloud has gone. */
export function banner({ text, live, signal }: Scene): HTMLElement {
  const node = element('div', { class: 'banner', role: 'alert' })
  live.state.watch(signal, (now) => {
    // An alert is read when something comes into it.
    if (now === 'stopped')
      node.replaceChildren(icon('warning'), element('strong', {}, text.stopped), element('span', {}, text.stoppedHelp))
    else node.replaceChildren()
  })
  return node
}
