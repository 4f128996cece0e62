// Products of the half that is only reported: nothing of them was looked at while the engine was tuned.
import { css, scale } from './paint.ts'
import { line, oval, polygon, type Shape } from './stage.ts'

export const kettle: Shape = (p) =>
  `<path d="M330 330 C340 90 690 90 700 330" fill="none" stroke="${css(p.accent)}" stroke-width="44"/><path d="M250 900 C200 600 330 330 515 330 C700 330 830 600 780 900 C770 985 740 1000 690 1000 L340 1000 C290 1000 260 985 250 900 Z" fill="${p.ball()}"/><path d="M760 560 C860 540 880 420 960 400 L975 450 C930 500 900 700 780 730 Z" fill="${p.round()}"/>${oval(515, 335, 120, 26, p.face(0.6))}${oval(515, 300, 30, 30, css(p.accent))}`

export const jar: Shape = (p) =>
  `<rect x="250" y="240" width="500" height="760" rx="90" fill="${p.round()}"/><rect x="270" y="60" width="460" height="190" rx="30" fill="${p.metal([180, 170, 140])}"/><path d="M300 430 h400 v330 h-400 Z" fill="${p.face(1, p.accent)}"/>${oval(500, 590, 90, 70, css(scale(p.colour, 0.9)))}`

export const tin: Shape = (p) =>
  `<path d="M200 170 L200 900 C260 1000 740 1000 800 900 L800 170 Z" fill="${p.round()}"/><path d="M200 420 C300 500 700 500 800 420 L800 740 C700 820 300 820 200 740 Z" fill="${p.round(p.accent)}"/>${oval(500, 170, 300, 80, p.metal([205, 205, 208]))}${oval(500, 172, 270, 66, p.face(0.5, [190, 190, 192]))}${line('M420 600 C470 560 540 640 600 590', 22, p.colour)}`

export const cushion: Shape = (p) =>
  `<path d="M90 250 C300 310 700 310 910 250 C870 450 870 750 930 960 C700 1010 300 1010 70 960 C130 750 130 450 90 250 Z" fill="${p.ball()}"/><path d="M250 380 C400 420 600 420 760 380" fill="none" stroke="${css(scale(p.colour, 1 - p.depth * 0.5))}" stroke-width="8"/><path d="M220 840 C400 800 620 800 800 850" fill="none" stroke="${css(scale(p.colour, 1 - p.depth * 0.6))}" stroke-width="10"/>`

export const bed: Shape = (p) =>
  `<rect x="0" y="300" width="1000" height="420" rx="30" fill="${p.cloth('check', 60)}"/><path d="M0 620 C200 560 800 580 1000 620 L1000 900 L0 900 Z" fill="${p.face(0.9)}"/>${[140, 560].map((x) => `<rect x="${x}" y="480" width="300" height="160" rx="60" fill="${p.face(1, [235, 230, 222])}"/>`).join('')}<rect x="0" y="880" width="1000" height="70" fill="${p.face(0.3, p.accent)}"/>${[40, 920].map((x) => `<rect x="${x}" y="940" width="44" height="60" fill="${css(p.accent)}"/>`).join('')}`

export const keys: Shape = (p) =>
  `<path d="M470 60 a150 150 0 1 0 0.1 0 Z M470 100 a110 110 0 1 1 -0.1 0 Z" fill="${p.metal([170, 172, 178])}" fill-rule="evenodd"/><g transform="rotate(24 480 340)"><path d="M480 330 a120 110 0 1 0 0.1 0 Z M480 370 a42 42 0 1 1 -0.1 0 Z M440 530 L440 960 L470 990 L520 960 L520 900 L560 870 L520 830 L560 790 L520 750 L520 530 Z" fill="${p.metal()}" fill-rule="evenodd"/></g><g transform="rotate(-28 460 340)"><path d="M460 330 a105 100 0 1 0 0.1 0 Z M460 362 a35 35 0 1 1 -0.1 0 Z M430 515 L430 900 L460 930 L500 905 L500 840 L535 810 L500 780 L500 515 Z" fill="${p.metal(p.accent)}" fill-rule="evenodd"/></g>`

export const basket: Shape = (p) =>
  `<path d="M170 560 C180 60 820 60 830 560" fill="none" stroke="${p.face(0.7)}" stroke-width="48"/><path d="M90 540 L910 540 L810 1000 L190 1000 Z" fill="${p.cloth('weave', 46)}"/><rect x="70" y="520" width="860" height="60" rx="30" fill="${p.round()}"/>`

export const stool: Shape = (p) =>
  `${oval(500, 200, 300, 90, p.face(1))}<path d="M200 200 C220 320 780 320 800 200 L800 240 C780 350 220 350 200 240 Z" fill="${p.round()}"/>${line('M300 290 L200 985', 30, p.face(0.8))}${line('M700 290 L800 985', 30, p.face(0.5))}${line('M470 320 L450 940', 26, p.face(0.3))}${line('M560 320 L590 930', 26, p.face(0.2))}${line('M250 700 C400 760 620 760 750 700', 16, p.metal([180, 180, 185]))}`

export const headphones: Shape = (p) =>
  `<path d="M170 640 C120 40 880 40 830 640" fill="none" stroke="${p.face(0.8)}" stroke-width="60"/><rect x="90" y="560" width="190" height="390" rx="90" fill="${p.ball()}"/><rect x="720" y="560" width="190" height="390" rx="90" fill="${p.ball()}"/><rect x="240" y="590" width="70" height="330" rx="35" fill="${css(p.accent)}"/><rect x="690" y="590" width="70" height="330" rx="35" fill="${css(p.accent)}"/>`

export const spectacles: Shape = (p) =>
  `<path d="M60 560 C60 470 420 460 440 560 C450 760 340 860 230 850 C110 840 60 720 60 560 Z M100 570 C110 520 390 510 402 570 C410 730 320 815 235 808 C140 800 100 700 100 570 Z" fill="${p.face(0.8)}" fill-rule="evenodd"/><path d="M560 560 C580 460 940 470 940 560 C940 720 890 840 770 850 C660 860 550 760 560 560 Z M598 570 C610 510 890 520 900 570 C900 700 860 800 765 808 C680 815 590 730 598 570 Z" fill="${p.face(0.6)}" fill-rule="evenodd"/>${line('M440 580 C470 530 530 530 560 580', 34, p.colour)}${line('M75 540 L190 250 L240 240', 24, p.colour)}${line('M925 540 L830 250 L785 240', 24, p.colour)}`

export const hanger: Shape = (p) =>
  `${line('M500 400 L500 330 C500 280 590 270 590 200 C590 130 470 110 450 190', 13, [150, 152, 158])}<path d="M500 390 L930 720 L70 720 Z" fill="none" stroke="${p.face(0.8)}" stroke-width="26" stroke-linejoin="round"/>`

export const plant: Shape = (p) =>
  `${[-60, -35, -12, 14, 38, 62].map((a, i) => `<g transform="rotate(${a} 500 700)">${line('M500 700 L500 320', 9, [70, 110, 60])}<path d="M500 ${340 - i * 12} C560 ${240 - i * 12} 540 ${150 - i * 8} 500 ${90 - i * 5} C460 ${150 - i * 8} 440 ${240 - i * 12} 500 ${340 - i * 12} Z" fill="${css([60 + i * 9, 115 + i * 6, 62])}"/></g>`).join('')}${polygon('330,690 670,690 620,1000 380,1000', p.round())}`

export const bicycle: Shape = (p) =>
  `${[220, 780].map((x) => `<circle cx="${x}" cy="780" r="200" fill="none" stroke="#26282c" stroke-width="26"/>${[0, 30, 60, 90, 120, 150].map((a) => `<g transform="rotate(${a} ${x} 780)">${line(`M${x - 190} 780 L${x + 190} 780`, 4, [140, 142, 146])}</g>`).join('')}`).join('')}${line('M220 780 L400 450 L690 450 L480 780 Z M400 450 L480 780 M780 780 L670 360', 26, p.face(0.8))}${line('M670 360 C690 300 780 300 790 340', 20, p.accent)}<path d="M330 400 L470 390 L450 430 L360 430 Z" fill="${css(p.accent)}"/>`

export const goblet: Shape = (p) =>
  `<path d="M290 60 C280 330 330 500 480 540 L480 900 C480 930 340 950 320 985 C320 1000 680 1000 680 985 C660 950 520 930 520 900 L520 540 C670 500 720 330 710 60 Z" fill="${css(p.colour)}" fill-opacity="0.16"/><path d="M298 70 C288 330 340 490 484 532 L486 900" fill="none" stroke="${css(scale(p.colour, 0.35))}" stroke-opacity="0.7" stroke-width="16"/><path d="M702 70 C712 330 660 490 516 532 L514 900" fill="none" stroke="${css(scale(p.colour, 0.3))}" stroke-opacity="0.75" stroke-width="18"/><ellipse cx="500" cy="972" rx="180" ry="22" fill="none" stroke="${css(scale(p.colour, 0.4))}" stroke-opacity="0.7" stroke-width="12"/><path d="M300 300 C400 330 600 330 700 300 C690 420 620 510 500 530 C380 510 310 420 300 300 Z" fill="${css(p.accent)}" fill-opacity="0.55"/><path d="M345 130 C340 260 350 340 380 400" fill="none" stroke="#fff" stroke-opacity="0.85" stroke-width="20"/>`

export const boot: Shape = (p) =>
  `<g transform="translate(${p.light < 0 ? 0 : 1000} 0) scale(${p.light < 0 ? 1 : -1} 1)"><path d="M210 40 L560 40 C570 300 560 480 620 600 C700 680 880 700 910 860 L910 930 L200 930 C230 600 220 300 210 40 Z" fill="${p.round()}"/><path d="M190 920 L920 920 L920 1000 L480 1000 L460 960 L420 1000 L190 1000 Z" fill="${p.face(0.3, p.accent)}"/><rect x="205" y="40" width="360" height="60" rx="20" fill="${p.cloth('stripes', 16)}"/>${[300, 380, 460].map((y) => line(`M430 ${y} L560 ${y - 20}`, 14, scale(p.accent, 1.3))).join('')}</g>`

export const toaster: Shape = (p) =>
  `<path d="M110 450 C110 350 160 320 250 320 L760 320 C850 320 890 350 890 450 L890 960 L110 960 Z" fill="${p.face(0.9)}"/><path d="M760 320 C850 320 890 350 890 450 L890 960 L760 960 Z" fill="${p.face(0.3)}"/><rect x="220" y="300" width="420" height="34" rx="16" fill="${css(scale(p.colour, 0.3))}"/>${oval(820, 760, 40, 44, css(p.accent))}<rect x="800" y="470" width="40" height="90" rx="12" fill="${css(p.accent)}"/>${[180, 780].map((x) => `<rect x="${x}" y="955" width="70" height="45" fill="${css(p.accent)}"/>`).join('')}`
