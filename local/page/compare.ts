import { element } from './element.ts'
import { paint } from './looking.ts'
import type { Scene } from './scene.ts'

/** The photo over its cutout, up to a line that a slider moves. Both have the same shape. */
export function compare({ text }: Scene, name: string, ground: string) {
  const photo = element('img', { class: 'photo', alt: '', decoding: 'async' })
  const cutout = element('img', { alt: text.cutoutOf(name), decoding: 'async' })
  // The frame takes the photo's shape, so that both lie on each other to the pixel.
  photo.onload = () => node.style.setProperty('--shape', `${photo.naturalWidth / photo.naturalHeight}`)
  const box = element('input', {
    type: 'range',
    min: 0,
    max: 100,
    value: 50,
    'aria-label': text.compareSlider(name),
    input: () => move(),
  })
  const node = element(
    'div',
    { class: 'compare' },
    cutout,
    photo,
    box,
    element('span', { class: 'handle', 'aria-hidden': 'true' }),
  )
  function move(): void {
    node.style.setProperty('--at', `${box.value}%`)
    box.setAttribute('aria-valuetext', text.percent(Number(box.value)))
  }
  move()
  node.style.setProperty('--shape', '1')
  paint(node, ground)
  return { frame: element('div', { class: 'frame' }, node), node, photo, cutout }
}
