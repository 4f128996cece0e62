const SVG = 'http://www.w3.org/2000/svg'

function draw(name: string, attributes: Record<string, string | number>, ...children: SVGElement[]): SVGElement {
  const node = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value))
  node.append(...children)
  return node
}

const TILE = 112
const ROOM = 44

/** What this software does, without a word: a photo, its cutout, and the cutout on a shop's ground. */
export function illustration(label: string): SVGElement {
  const at = (place: number, ...inside: SVGElement[]) =>
    draw('g', { transform: `translate(${place * (TILE + ROOM)} 0)` }, ...inside)
  const tile = (fill: string) => draw('rect', { width: TILE, height: TILE, rx: 14, fill, class: 'edge' })
  const arrow = (place: number) =>
    draw('path', {
      d: 'M10 56h24m0 0-8-8m8 8-8 8',
      class: 'arrow',
      transform: `translate(${place * (TILE + ROOM) + TILE} 0)`,
    })
  const backdrop = draw(
    'linearGradient',
    { id: 'backdrop', x1: 0, y1: 0, x2: 0, y2: 1 },
    draw('stop', { offset: 0, 'stop-color': '#d8d5d0' }),
    draw('stop', { offset: 0.68, 'stop-color': '#bdb8b1' }),
    draw('stop', { offset: 1, 'stop-color': '#a9a39b' }),
  )
  const checker = draw(
    'pattern',
    { id: 'checker', width: 16, height: 16, patternUnits: 'userSpaceOnUse' },
    draw('rect', { width: 16, height: 16, fill: '#fff' }),
    draw('path', { d: 'M0 0h8v8H0zM8 8h8v8H8z', fill: '#dedbd7' }),
  )
  const shadow = draw('ellipse', { cx: 60, cy: 87, rx: 34, ry: 6, fill: '#3b3733', opacity: 0.35 })
  return draw(
    'svg',
    {
      viewBox: `-1 -1 ${3 * TILE + 2 * ROOM + 2} ${TILE + 2}`,
      class: 'illustration',
      role: 'img',
      'aria-label': label,
    },
    draw('defs', {}, backdrop, checker),
    at(0, tile('url(#backdrop)'), shadow, mug(1)),
    arrow(0),
    at(1, tile('url(#checker)'), mug(1)),
    arrow(1),
    at(2, tile('#f4e3d3'), mug(1.22)),
  )
}

/** Half photo, half cutout. */
export function logo(): SVGElement {
  return draw(
    'svg',
    { viewBox: '0 0 28 28', class: 'logo', 'aria-hidden': 'true' },
    draw('rect', { width: 28, height: 28, rx: 8, class: 'tile' }),
    draw('path', { d: 'M8 8.5h10l-.8 9.5a2 2 0 0 1-2 1.8h-4.4a2 2 0 0 1-2-1.8z', class: 'cup' }),
    draw('path', { d: 'M18 11c4-1 4.5 5.5-.6 5.5', class: 'ear' }),
  )
}

function mug(scale: number): SVGElement {
  return draw(
    'g',
    { transform: `translate(${TILE / 2 - 4 * scale} ${TILE / 2 + 2}) scale(${scale})` },
    draw('path', { d: 'M22-14c19-5 24 24-3 26', fill: 'none', stroke: '#1f6f69', 'stroke-width': 7 }),
    draw('path', { d: 'M-27-25h52l-4 50q-1 7-8 7h-28q-7 0-8-7z', fill: '#2b8780' }),
    draw('path', { d: 'M-25.4-5h48.8l-1.1 13h-46.6z', fill: '#efe4d0' }),
    draw('path', { d: 'M-19-21h5l3 50h-3z', fill: '#fff', opacity: 0.35 }),
    draw('ellipse', { cx: -1, cy: -25, rx: 26, ry: 7, fill: '#efe4d0' }),
    draw('ellipse', { cx: -1, cy: -24.5, rx: 21, ry: 4.8, fill: '#5b3421' }),
  )
}
