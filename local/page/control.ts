import type { Cell } from './cell.ts'
import { element, freshId } from './element.ts'

interface Choice<T> {
  value: T
  label: string
  /** Drawn instead of the label, which is then told only. */
  face?: Node
}

interface ChoicesOptions<T> {
  legend: string
  choices: readonly Choice<T>[]
  current: T
  choose: (value: T) => void
  /** A class of its own. */
  kind?: string
  hideLegend?: boolean
}

/** One of a few, all of them seen: radio buttons that look like one strip. */
export function choices<T>({
  legend,
  choices,
  current,
  choose,
  kind = 'strip',
  hideLegend = false,
}: ChoicesOptions<T>) {
  const name = freshId()
  return element(
    'fieldset',
    { class: `choices ${kind}` },
    element('legend', { class: hideLegend ? 'quiet' : undefined }, legend),
    element(
      'div',
      {},
      ...choices.map(({ value, label, face }) =>
        element(
          'label',
          { title: face ? label : undefined },
          element('input', { type: 'radio', name, checked: value === current, change: () => choose(value) }),
          face ? element('span', {}, face, element('span', { class: 'quiet' }, label)) : element('span', {}, label),
        ),
      ),
    ),
  )
}

/** One of a few, folded. */
export function select<T extends string>(
  label: string,
  options: readonly (readonly [T, string])[],
  current: T,
  choose: (value: T) => void,
) {
  const id = freshId()
  const box = element(
    'select',
    {
      id,
      change: () => {
        const found = options.find(([value]) => value === box.value)
        if (found) choose(found[0])
      },
    },
    ...options.map(([value, words]) => element('option', { value, selected: value === current }, words)),
  )
  return element('div', { class: 'field' }, element('label', { for: id }, label), box)
}

/** On or off. */
export function toggle(label: string | Node, on: boolean, change: (on: boolean) => void, described?: string) {
  const box = element('input', {
    type: 'checkbox',
    role: 'switch',
    checked: on,
    'aria-describedby': described,
    change: () => change(box.checked),
  })
  return { box, node: element('label', { class: 'toggle' }, box, element('span', {}, label)) }
}

/** Follows a cell's value with a part that is drawn anew at each change. */
export function follow<T>(
  place: HTMLElement,
  watched: Cell<T>,
  signal: AbortSignal,
  draw: (value: T) => Node[],
): HTMLElement {
  watched.watch(signal, (value) => place.replaceChildren(...draw(value)))
  return place
}
