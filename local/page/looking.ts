import { choices, select, toggle } from './control.ts'
import { element, freshId } from './element.ts'
import type { Text } from './english.ts'
import { FORMATS, GROUNDS, type Look } from './look.ts'

const NAMES = ['checker', 'white', 'sand', 'mist', 'rose', 'black'] as const satisfies (keyof typeof GROUNDS)[]

interface LookingOptions {
  text: Text
  look: () => Look
  change: (look: Look) => void
  widths: readonly number[]
  /** Whether the photo's own width may be asked for. */
  full: boolean
}

/** The controls of a look. None of them ever pays. */
export function looking({ text, look, change, widths, full }: LookingOptions): HTMLElement {
  const set = (part: Partial<Look>) => change({ ...look(), ...part })
  const now = look()
  const quality = slider(text.quality, now.quality, (quality) => set({ quality }))
  quality.box.disabled = now.format === 'png'
  const sizes = widths.map((n) => [String(n), text.widths(n)] as const)
  return element(
    'div',
    { class: 'looking' },
    grounds(text, now.ground, (ground) => set({ ground })),
    select(text.width, full ? [...sizes, ['', text.fullWidth] as const] : sizes, String(now.width ?? ''), (width) =>
      set({ width: width === '' ? undefined : Number(width) }),
    ),
    select(
      text.format,
      FORMATS.map((name) => [name, name === 'auto' ? text.auto : name === 'webp' ? 'WebP' : name.toUpperCase()]),
      now.format,
      (format) => {
        quality.box.disabled = format === 'png'
        set({ format })
      },
    ),
    quality.node,
    toggle(text.trim, now.trim, (trim) => set({ trim })).node,
  )
}

/** Grounds to try, and a colour of one's own. */
function grounds(text: Text, current: string, choose: (ground: string) => void): HTMLElement {
  const own = !Object.values<string>(GROUNDS).includes(current)
  const box = element('input', {
    type: 'color',
    value: `#${own ? current : 'f2b134'}`,
    'aria-label': text.ownGround,
    title: text.ownGround,
    class: own ? 'chosen' : undefined,
    // Not at each step of the picker: a ground of a view is stored in the bucket.
    change: () => {
      for (const radio of strip.querySelectorAll('input[type=radio]'))
        if (radio instanceof HTMLInputElement) radio.checked = false
      box.classList.add('chosen')
      choose(box.value.slice(1))
    },
  })
  const strip = choices({
    legend: text.ground,
    kind: 'swatches',
    choices: NAMES.map((name) => {
      const value: string = GROUNDS[name]
      const face = element('span', { class: 'swatch' })
      paint(face, value)
      return { value, label: text.grounds[name], face }
    }),
    current,
    choose: (ground) => {
      box.classList.remove('chosen')
      choose(ground)
    },
  })
  strip.lastElementChild?.append(box)
  return strip
}

/** Lays a ground behind what is in an element. */
export function paint(node: HTMLElement, ground: string): void {
  node.classList.toggle('checker', ground === GROUNDS.checker)
  node.style.backgroundColor = ground === GROUNDS.checker ? '' : `#${ground}`
}

/** A number from 1 to 100. */
function slider(label: string, current: number, choose: (value: number) => void) {
  const id = freshId()
  const shown = element('output', { for: id }, String(current))
  const box = element('input', {
    id,
    type: 'range',
    min: 10,
    max: 100,
    step: 5,
    value: current,
    input: () => shown.replaceChildren(box.value),
    change: () => choose(Number(box.value)),
  })
  return {
    box,
    node: element(
      'div',
      { class: 'field' },
      element('label', { for: id }, label),
      element('div', { class: 'row' }, box, shown),
    ),
  }
}
