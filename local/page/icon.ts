import { element } from './element.ts'

const SVG = 'http://www.w3.org/2000/svg'

/** Strokes on a field of 24 by 24. */
const PATHS = {
  upload: ['M12 16V4m0 0L7 9m5-5 5 5', 'M4 16v3a1.5 1.5 0 0 0 1.5 1.5h13A1.5 1.5 0 0 0 20 19v-3'],
  copy: [
    'M9 9.5A1.5 1.5 0 0 1 10.5 8h8A1.5 1.5 0 0 1 20 9.5v9a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 9 18.5z',
    'M15 8V5.5A1.5 1.5 0 0 0 13.5 4h-8A1.5 1.5 0 0 0 4 5.5v8A1.5 1.5 0 0 0 5.5 15H9',
  ],
  download: ['M12 4v12m0 0 5-5m-5 5-5-5', 'M5 20h14'],
  bin: ['M4.5 7h15', 'M9.5 7V4.5h5V7', 'm6.5 7 .8 12a1.5 1.5 0 0 0 1.5 1.4h6.4a1.5 1.5 0 0 0 1.5-1.4l.8-12'],
  close: ['m6 6 12 12', 'M18 6 6 18'],
  check: ['m5 12.5 4.5 4.5L19 7.5'],
  cross: ['m7 7 10 10', 'M17 7 7 17'],
  dot: ['M12 12h.01'],
  dash: ['M7 12h10'],
  pause: ['M9 6v12', 'M15 6v12'],
  play: ['M8 5.5v13l10.5-6.5z'],
  sun: [
    'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z',
    'M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  ],
  moon: ['M20 14.5A8.3 8.3 0 0 1 9.5 4a8.3 8.3 0 1 0 10.5 10.5z'],
  system: ['M4 5.5h16v10.5H4z', 'M9 20h6M12 16v4'],
  photo: ['M4 5.5h16v13H4z', 'm4 15.5 4.5-4.5 4 4 2.5-2.5 5 5', 'M15.5 9h.01'],
  warning: ['M12 4 2.8 19.5h18.4z', 'M12 10v4.5M12 17h.01'],
} satisfies Record<string, readonly string[]>
export type IconName = keyof typeof PATHS

/** A drawing beside a text that says the same. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  for (const d of PATHS[name]) {
    const path = document.createElementNS(SVG, 'path')
    path.setAttribute('d', d)
    svg.append(path)
  }
  return svg
}

/** What went wrong, where a picture would be. */
export function note(title: string, why: string): HTMLElement {
  return element('div', { class: 'note' }, icon('warning'), element('strong', {}, title), element('span', {}, why))
}
