// Products of the half to tune on.
import { css, scale } from './paint.ts'
import { line, oval, polygon, type Shape } from './stage.ts'

export const mug: Shape = (p) => {
  const x = p.light < 0 ? 1 : -1
  const body = 'M210 220 C215 500 225 800 250 930 C265 1000 560 1000 580 930 C600 800 612 500 616 220 Z'
  const grip = `<path d="M600 360 C${800} 300 900 420 870 560 C845 690 720 780 585 790" fill="none" stroke="${p.face(0.6)}" stroke-width="70" stroke-linecap="round"/>`
  return `<g transform="translate(${x < 0 ? 1000 : 0} 0) scale(${x} 1)">${grip}<path d="${body}" fill="${p.round()}"/>${oval(413, 222, 203, 55, p.face(0.95))}${oval(413, 230, 180, 42, p.face(0.2, scale(p.colour, 0.8)))}</g>`
}

/** `label` is drawn in the accent colour. */
export const bottle: Shape = (p) =>
  `<path d="M430 30 L570 30 L572 250 C580 330 700 370 700 480 L700 950 C700 985 680 1000 650 1000 L350 1000 C320 1000 300 985 300 950 L300 480 C300 370 420 330 428 250 Z" fill="${p.round()}"/><rect x="422" y="20" width="156" height="120" rx="14" fill="${p.round(scale(p.colour, 0.45))}"/><rect x="330" y="560" width="340" height="290" fill="${p.face(1, p.accent)}"/><rect x="390" y="640" width="220" height="26" fill="${css(scale(p.colour, 0.7))}"/><rect x="420" y="700" width="160" height="14" fill="${css(scale(p.colour, 0.8))}"/>`

/** A bottle whose label goes all the way round, so that it is a part of the outline. */
export const wrapped: Shape = (p) =>
  `<path d="M440 60 L560 60 L565 240 C600 320 690 360 690 460 L690 960 C690 990 680 1000 640 1000 L360 1000 C320 1000 310 990 310 960 L310 460 C310 360 400 320 435 240 Z" fill="${p.round()}"/><path d="M309 540 C400 560 600 560 691 540 L691 800 C600 820 400 820 309 800 Z" fill="${p.round(p.accent)}"/>${line('M380 640 L560 655', 16, p.colour)}${line('M380 700 L500 708', 10, p.colour)}`

/** A label that a ruled line parts, with letters one can see through. */
export const ruled: Shape = (p) => {
  const ink = css(scale(p.colour, 0.6))
  return `<path d="M420 20 L580 20 L580 240 C600 300 720 340 720 460 L720 960 C720 990 700 1000 670 1000 L330 1000 C300 1000 280 990 280 960 L280 460 C280 340 400 300 420 240 Z" fill="${p.round()}"/><rect x="320" y="480" width="360" height="430" fill="${css(p.accent)}"/>${[410, 490, 570].map((x) => `<circle cx="${x}" cy="570" r="24" fill="none" stroke="${ink}" stroke-width="11"/>`).join('')}<rect x="350" y="645" width="300" height="9" fill="${ink}"/>`
}

export const carton: Shape = (p) =>
  `${polygon('120,330 600,420 600,1000 120,860', p.face(0.95))}${polygon('600,420 880,300 880,820 600,1000', p.face(0.25))}${polygon('120,330 390,230 880,300 600,420', p.face(1.1))}${polygon('230,480 480,530 480,680 230,620', p.face(1, p.accent))}`

export const vase: Shape = (p) =>
  `<path d="M390 80 C400 210 390 260 350 330 C240 470 220 650 270 800 C300 900 370 1000 420 1000 L580 1000 C630 1000 700 900 730 800 C780 650 760 470 650 330 C610 260 600 210 610 80 Z" fill="${p.round()}"/>${oval(500, 82, 110, 28, p.face(0.9))}${oval(500, 86, 92, 20, p.face(0.1, scale(p.colour, 0.75)))}`

export const bowl: Shape = (p) =>
  `<path d="M60 520 C90 800 300 930 380 960 L380 1000 L620 1000 L620 960 C700 930 910 800 940 520 Z" fill="${p.round()}"/>${oval(500, 520, 440, 110, p.face(0.85))}${oval(500, 535, 400, 88, p.face(0.3))}`

export const sofa: Shape = (p) =>
  `<rect x="20" y="380" width="960" height="420" rx="50" fill="${p.cloth('weave', 14)}"/><rect x="0" y="520" width="150" height="400" rx="60" fill="${p.face(0.8)}"/><rect x="850" y="520" width="150" height="400" rx="60" fill="${p.face(0.4)}"/><rect x="130" y="640" width="360" height="170" rx="40" fill="${p.face(1)}"/><rect x="510" y="640" width="360" height="170" rx="40" fill="${p.face(0.95)}"/><rect x="110" y="790" width="780" height="130" fill="${p.face(0.3)}"/>${[70, 900].map((x) => `<rect x="${x}" y="900" width="34" height="100" fill="${css(p.accent)}"/>`).join('')}`

export const scissors: Shape = (p) =>
  `<g transform="rotate(${p.light * 20} 500 600)">${polygon('470,40 505,60 560,620 500,640', p.metal([190, 195, 200]))}${polygon('560,50 525,60 440,620 500,640', p.metal([205, 208, 212]))}<path d="M470 620 C300 660 250 760 270 860 C300 960 430 960 455 860 C470 780 490 700 525 630 Z M450 720 C340 730 310 790 325 850 C345 910 400 900 415 840 Z" fill="${p.face(0.8)}" fill-rule="evenodd"/><path d="M530 620 C700 660 750 760 730 860 C700 960 570 960 545 860 C530 780 510 700 475 630 Z M550 720 C660 730 690 790 675 850 C655 910 600 900 585 840 Z" fill="${p.face(0.6)}" fill-rule="evenodd"/>${oval(500, 560, 16, 16, css([90, 92, 95]))}</g>`

/** Its bars are more than half as thick as its gaps are wide. */
export const crate: Shape = (p) => {
  const bars = [0, 1, 2, 3, 4, 5, 6, 7]
  return `${bars.map((n) => `<rect x="${n * 136}" y="200" width="48" height="800" fill="${p.face(0.9)}"/>`).join('')}${[0, 1, 2, 3, 4, 5].map((n) => `<rect x="0" y="${200 + n * 150}" width="1000" height="48" fill="${p.face(0.6)}"/>`).join('')}`
}

export const ring: Shape = (p) =>
  `<path d="M500 260 a370 370 0 1 0 0.1 0 Z M490 350 a285 285 0 1 1 -0.1 0 Z" fill="${p.metal()}" fill-rule="evenodd"/>${polygon('400,120 600,120 680,210 500,360 320,210', p.face(0.9, p.accent))}${polygon('400,120 600,120 560,200 440,200', p.face(1.2, scale(p.accent, 1.5)))}`

export const chair: Shape = (p) =>
  `<rect x="300" y="20" width="400" height="40" rx="18" fill="${p.face(0.9)}"/>${[310, 420, 530, 650].map((x) => `<rect x="${x}" y="40" width="34" height="480" fill="${p.round()}"/>`).join('')}${polygon('250,500 750,500 800,590 200,590', p.face(1))}${polygon('200,590 800,590 800,630 200,630', p.face(0.4))}<rect x="215" y="620" width="38" height="380" fill="${p.round()}"/><rect x="745" y="620" width="38" height="380" fill="${p.round()}"/><rect x="310" y="620" width="30" height="330" fill="${p.face(0.2)}"/><rect x="660" y="620" width="30" height="330" fill="${p.face(0.2)}"/><rect x="230" y="800" width="540" height="24" fill="${p.face(0.5)}"/>`

export const lamp: Shape = (p) =>
  `${polygon('360,20 640,20 740,270 260,270', p.round(p.accent))}<rect x="490" y="270" width="20" height="690" fill="${p.round()}"/>${oval(500, 975, 170, 25, p.round())}${line('M560 270 L560 400', 5, scale(p.colour, 0.8))}`

export const earphones: Shape = (p) =>
  `${line(`M330 300 C330 520 520 480 500 640 C480 800 ${p.light < 0 ? 250 : 750} 760 420 900 C560 980 700 900 640 985`, 14, p.colour)}${line('M670 280 C660 480 520 480 500 640', 14, p.colour)}<rect x="285" y="150" width="80" height="160" rx="40" fill="${p.round()}"/><rect x="635" y="130" width="80" height="160" rx="40" fill="${p.round()}"/>${oval(320, 140, 55, 50, p.ball(p.accent))}${oval(680, 120, 55, 50, p.ball(p.accent))}`

export const rack: Shape = (p) =>
  `${[120, 310, 500, 690, 880].map((x) => line(`M${x} 200 L${x + 20} 990`, 15, p.face(0.8))).join('')}${[210, 600, 960].map((y) => line(`M110 ${y} L900 ${y + 15}`, 18, p.face(0.5))).join('')}`

export const tumbler: Shape = (p) =>
  `<path d="M250 150 L310 985 C320 1000 680 1000 690 985 L750 150 Z" fill="${css(p.colour)}" fill-opacity="0.18"/><path d="M262 160 L322 960" stroke="${css(scale(p.colour, 0.35))}" stroke-opacity="0.7" stroke-width="20"/><path d="M738 160 L678 960" stroke="${css(scale(p.colour, 0.3))}" stroke-opacity="0.75" stroke-width="22"/><ellipse cx="500" cy="955" rx="180" ry="35" fill="${css(scale(p.colour, 0.45))}" fill-opacity="0.6"/><ellipse cx="500" cy="152" rx="248" ry="38" fill="none" stroke="${css(scale(p.colour, 0.5))}" stroke-opacity="0.6" stroke-width="10"/><path d="M340 250 L385 850" stroke="#fff" stroke-opacity="0.85" stroke-width="26"/><path d="M290 560 L710 560 L688 960 C680 985 320 985 312 960 Z" fill="${css(p.accent)}" fill-opacity="0.3"/>`

export const sneaker: Shape = (p) =>
  `<g transform="translate(${p.light < 0 ? 0 : 1000} 0) scale(${p.light < 0 ? 1 : -1} 1)"><path d="M90 480 C200 520 300 500 380 440 C470 520 620 680 780 700 C900 715 960 780 955 880 L60 880 C50 740 60 600 90 480 Z" fill="${p.face(0.85)}"/><path d="M40 860 L965 860 C985 930 960 1000 900 1000 L110 1000 C40 1000 30 930 40 860 Z" fill="${p.round([238, 236, 230])}"/>${[0, 1, 2, 3].map((i) => line(`M${420 + i * 70} ${520 + i * 45} L${500 + i * 70} ${450 + i * 55}`, 18, p.accent)).join('')}<path d="M120 620 C260 700 400 720 560 700 L540 780 C380 790 230 760 110 700 Z" fill="${css(p.accent)}"/></g>`

export const speaker: Shape = (p) =>
  `<rect x="220" y="60" width="560" height="940" rx="40" fill="${p.face(0.8)}"/><rect x="255" y="95" width="490" height="870" rx="20" fill="${p.cloth('dots', 22)}"/>${oval(500, 330, 150, 150, p.ball(scale(p.colour, 0.8)))}${oval(500, 700, 190, 190, p.ball(scale(p.colour, 0.9)))}`
