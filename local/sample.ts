import sharp from 'sharp'

/** Product photos drawn by code, so that there is something to cut out before somebody puts a photo of their own. */
export const SAMPLES = ['mug', 'ring', 'bottle', 'vase'] as const
export type SampleName = (typeof SAMPLES)[number]

/**
 * Draws a sample like a studio photo: backdrop, soft shadow, lens blur, sensor noise, JPEG; each time the same bytes. `alpha` is a
 * grey 8-bit PNG of the same size: the product's true coverage, without its shadow.
 */
export async function drawSample(name: SampleName): Promise<{ jpeg: Buffer; alpha: Buffer }> {
  const { width, height, backdrop, shadow, product } = DRAWINGS[name]
  const svg = (body: string) =>
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${COMMON}${body}</svg>`,
    )
  const raw = { width, height, channels: 4 as const }
  // The lens blur is not an SVG filter, because that takes ten times as long.
  const layer = await sharp(svg(product)).ensureAlpha().blur(0.7).raw().toBuffer()
  const photo = await sharp(svg(backdrop + shadow))
    .composite([{ input: layer, raw }])
    .removeAlpha()
    .raw()
    .toBuffer()
  addNoise(photo)
  const jpeg = await sharp(photo, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer()
  const alpha = await sharp(layer, { raw }).extractChannel('alpha').toColourspace('b-w').png().toBuffer()
  return { jpeg, alpha }
}

/** Adds the noise of a sensor: nearly normal, and the same in each run. */
function addNoise(photo: Buffer): void {
  const pixels = new Uint8ClampedArray(photo.buffer, photo.byteOffset, photo.length)
  let state = 0x9e3779b9
  for (let i = 0; i < pixels.length; i++) {
    let sum = -1.5
    for (let draw = 0; draw < 3; draw++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      sum += (state >>> 0) / 2 ** 32
    }
    pixels[i] = (pixels[i] ?? 0) + sum * 3.2
  }
}

interface Drawing {
  width: number
  height: number
  backdrop: string
  shadow: string
  product: string
}

const blur = (id: string, deviation: number) =>
  `<filter id="${id}" x="-100%" y="-100%" width="300%" height="300%" color-interpolation-filters="sRGB"><feGaussianBlur stdDeviation="${deviation}"/></filter>`

/** The stops of a gradient, from a list of `offset:colour` or `offset:colour:opacity`. */
const stops = (list: string) =>
  list
    .split(' ')
    .map((stop) => {
      const [offset, colour, opacity = '1'] = stop.split(':')
      return `<stop offset="${offset}" stop-color="${colour}" stop-opacity="${opacity}"/>`
    })
    .join('')

const across = (id: string, list: string) => `<linearGradient id="${id}">${stops(list)}</linearGradient>`
const down = (id: string, list: string) =>
  `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1">${stops(list)}</linearGradient>`
const slant = (id: string, list: string) =>
  `<linearGradient id="${id}" x1="0" y1="0" x2="1" y2="1">${stops(list)}</linearGradient>`
const around = (id: string, at: string, list: string) =>
  `<radialGradient id="${id}" ${at}>${stops(list)}</radialGradient>`

const COMMON = `<defs>${blur('b3', 3)}${blur('b8', 8)}${blur('b16', 16)}${blur('b30', 30)}${blur('b55', 55)}</defs>`

const sheet = (width: number, height: number, fill: string) =>
  `<rect width="${width}" height="${height}" fill="url(#${fill})"/>`
const spot = (cx: number, cy: number, rx: number, ry: number, opacity: number, filter: string, fill = '#000') =>
  `<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" fill="${fill}" opacity="${opacity}" filter="url(#${filter})"/>`

function mug(): Drawing {
  const [width, height] = [1200, 1050]
  const body =
    'M290 300 C292 520 306 700 330 822 C338 862 400 892 530 892 C660 892 722 862 730 822 C754 700 768 520 770 300 Z'
  const handle = 'M742 402 C888 352 988 430 972 552 C958 672 852 752 716 752'
  const stroke = (w: number, colour: string, rest = '') =>
    `<path d="${handle}" fill="none" stroke="${colour}" stroke-width="${w}" stroke-linecap="round" ${rest}/>`
  return {
    width,
    height,
    backdrop: `<defs>${around('sheet', 'cx="0.45" cy="0.35" r="0.95"', '0:#f4efe8 0.55:#e9e2d8 1:#d2c8bb')}</defs>${sheet(width, height, 'sheet')}`,
    shadow:
      spot(660, 888, 400, 46, 0.22, 'b30', '#2a2018') +
      spot(560, 892, 240, 26, 0.36, 'b16', '#20180f') +
      spot(530, 892, 190, 9, 0.42, 'b8', '#1c140c'),
    product: `<defs>
${across('glaze', '0:#0f3a3f 0.1:#17565b 0.3:#2a8584 0.42:#3b9a96 0.6:#1f6f71 0.82:#144b50 1:#0b2f34')}
${down('fall', '0:#ffffff:0.1 0.5:#ffffff:0 1:#021416:0.4')}
${across('cream', '0:#a8987c 0.3:#efe3c8 0.42:#faf1da 0.65:#d9c9a8 1:#8f8067')}
${across('inner', '0:#c9bda4 0.5:#efe6d2 1:#d8ccb3')}
${around('coffee', 'cx="0.45" cy="0.3" r="0.75"', '0:#6d4326 0.6:#4a2a15 1:#2d170a')}
${down('grip', '0:#3b9a96 0.45:#1c686b 1:#0c353a')}
<clipPath id="mug"><path d="${body}"/></clipPath>
<mask id="grip-only" maskUnits="userSpaceOnUse" x="0" y="0" width="1200" height="1050">${stroke(64, '#fff')}</mask>
<clipPath id="bowl"><ellipse cx="530" cy="302" rx="222" ry="58"/></clipPath></defs>
${stroke(64, 'url(#grip)')}
<g mask="url(#grip-only)">${stroke(40, '#2f8d8b', 'filter="url(#b8)" opacity="0.8" transform="translate(-4 -8)"')}${stroke(9, '#d8fffb', 'filter="url(#b3)" opacity="0.65" transform="translate(-6 -16)"')}${stroke(16, '#04181b', 'filter="url(#b8)" opacity="0.7" transform="translate(10 28)"')}</g>
<path d="${body}" fill="url(#glaze)"/>
<g clip-path="url(#mug)">
<path d="M280 640 C380 690 680 690 780 640 L780 700 C680 752 380 752 280 700 Z" fill="url(#cream)"/>
<path d="M280 716 C380 768 680 768 780 716 L780 728 C680 780 380 780 280 728 Z" fill="url(#cream)"/>
<rect x="280" y="290" width="500" height="620" fill="url(#fall)"/>
<path d="M352 370 C356 540 366 700 386 820 L420 826 C402 700 392 540 390 378 Z" fill="#fff" opacity="0.5" filter="url(#b8)"/>
<path d="M366 400 C369 500 373 560 380 620 L394 620 C388 560 384 500 382 404 Z" fill="#fff" opacity="0.75" filter="url(#b3)"/>
<path d="M726 360 C716 560 706 720 690 830 L708 822 C722 720 734 560 742 360 Z" fill="#bff5f0" opacity="0.28" filter="url(#b8)"/>
</g>
<ellipse cx="530" cy="300" rx="240" ry="70" fill="url(#cream)"/>
<ellipse cx="530" cy="302" rx="222" ry="58" fill="url(#inner)"/>
<g clip-path="url(#bowl)"><ellipse cx="530" cy="338" rx="212" ry="54" fill="url(#coffee)"/>
<ellipse cx="470" cy="326" rx="70" ry="10" fill="#e9c9a6" opacity="0.35" filter="url(#b8)"/>
<ellipse cx="530" cy="262" rx="220" ry="34" fill="#3b2a14" opacity="0.35" filter="url(#b16)"/></g>`,
  }
}

function ring(): Drawing {
  const [width, height] = [1100, 1100]
  const annulus = (cx: number, cy: number, rx: number, ry: number, ix: number, iy: number, dy = 0) => {
    const oval = (y: number, a: number, b: number) =>
      `M${cx - a} ${y} a${a} ${b} 0 1 0 ${2 * a} 0 a${a} ${b} 0 1 0 ${-2 * a} 0 Z`
    return `${oval(cy, rx, ry)} ${oval(cy + dy, ix, iy)}`
  }
  const front = annulus(528, 640, 268, 280, 228, 238, -2)
  const back = annulus(562, 637, 264, 276, 228, 238, -2)
  const facet = (points: string, colour: string) => `<polygon points="${points}" fill="${colour}"/>`
  return {
    width,
    height,
    backdrop: `<defs>${down('sheet', '0:#e7e9ef 0.6:#d9dce5 0.8:#c9cdd9 1:#bcc1cf')}${around('glow', 'cx="0.4" cy="0.3" r="0.7"', '0:#ffffff:0.65 1:#ffffff:0')}</defs>${sheet(width, height, 'sheet')}${sheet(width, height, 'glow')}`,
    shadow:
      spot(640, 930, 300, 30, 0.3, 'b30', '#1a1c28') +
      spot(560, 922, 120, 12, 0.55, 'b8', '#15161f') +
      spot(700, 905, 200, 22, 0.14, 'b16', '#3a2a10'),
    product: `<defs>
${slant('gold', '0:#8a5a14 0.08:#d9a441 0.16:#fff3c4 0.24:#e3b04b 0.36:#9a6718 0.48:#f0cd74 0.56:#fffbe6 0.64:#d49a37 0.78:#7a4c0e 0.88:#e8bd5c 1:#6b420c')}
${slant('gold-in', '0:#f2d27e 0.15:#8f5d15 0.35:#5f390a 0.5:#b57c24 0.65:#ffe9a8 0.8:#a36d1c 1:#4d2e07')}
<clipPath id="band"><path d="${front}" clip-rule="evenodd"/></clipPath></defs>
<path d="${back}" fill="url(#gold-in)" fill-rule="evenodd"/>
<path d="${front}" fill="url(#gold)" fill-rule="evenodd"/>
<g clip-path="url(#band)">
<ellipse cx="528" cy="640" rx="256" ry="267" fill="none" stroke="#fff8dc" stroke-width="5" opacity="0.75" filter="url(#b3)"/>
<ellipse cx="528" cy="638" rx="232" ry="242" fill="none" stroke="#5a3608" stroke-width="7" opacity="0.6" filter="url(#b3)"/>
<path d="M300 560 A240 250 0 0 1 400 428" fill="none" stroke="#fff" stroke-width="16" opacity="0.8" filter="url(#b3)"/>
<path d="M690 850 A250 262 0 0 0 762 742" fill="none" stroke="#fff" stroke-width="10" opacity="0.7" filter="url(#b3)"/>
</g>
<path d="M452 398 L470 352 L610 352 L630 398 Q540 372 452 398 Z" fill="url(#gold)"/>
${facet('420,236 500,190 590,190 668,236 545,380', '#0f4fa8')}
${facet('500,190 590,190 612,222 478,222', '#9fd0ff')}
${facet('420,236 500,190 478,222', '#5aa2ee')}
${facet('668,236 590,190 612,222', '#2f78d0')}
${facet('420,236 478,222 492,256', '#2b70cc')}
${facet('668,236 612,222 598,256', '#0c3f8e')}
${facet('478,222 612,222 598,256 492,256', '#cfe8ff')}
${facet('420,236 492,256 545,380', '#1b5bb8')}
${facet('492,256 545,256 545,380', '#6fb4f7')}
${facet('545,256 598,256 545,380', '#1d63c4')}
${facet('598,256 668,236 545,380', '#0a3276')}
${facet('492,256 520,256 545,340', '#e9f5ff')}
<path d="M424 232 L448 236 L496 372 L472 376 Z" fill="url(#gold)"/>
<path d="M664 232 L640 236 L594 372 L618 376 Z" fill="url(#gold-in)"/>
<circle cx="432" cy="234" r="17" fill="#e0b04e"/><circle cx="656" cy="234" r="17" fill="#b87f25"/>
<circle cx="428" cy="229" r="7" fill="#fff3c4"/><circle cx="652" cy="229" r="7" fill="#f6d98c"/>`,
  }
}

function bottle(): Drawing {
  const [width, height] = [1000, 1250]
  const body =
    'M402 330 L402 372 C402 412 300 424 292 520 L292 1040 C292 1078 312 1096 346 1096 L654 1096 C688 1096 708 1078 708 1040 L708 520 C700 424 598 412 598 372 L598 330 Z'
  const leaf = (angle: number, y: number) =>
    `<path transform="translate(500 ${y}) rotate(${angle})" d="M0 0 C18 -14 50 -16 74 0 C50 16 18 14 0 0 Z" fill="#55694a"/>`
  const line = (y: number, w: number, h: number, colour: string) =>
    `<rect x="${500 - w / 2}" y="${y}" width="${w}" height="${h}" rx="${h / 2}" fill="${colour}"/>`
  return {
    width,
    height,
    backdrop: `<defs>${down('sheet', '0:#e3ebe4 0.62:#d3dfd6 0.78:#c6d4ca 1:#b6c6bb')}</defs>${sheet(width, height, 'sheet')}${spot(420, 360, 380, 420, 0.4, 'b55', '#ffffff')}`,
    shadow:
      spot(620, 1096, 330, 36, 0.24, 'b30', '#14201a') +
      spot(520, 1098, 220, 18, 0.4, 'b16', '#101a14') +
      spot(500, 1098, 200, 7, 0.5, 'b8', '#0c1410'),
    product: `<defs>
${across('glass', '0:#2b1204 0.05:#5f2c0a 0.14:#a8571a 0.24:#c9742a 0.4:#8a4413 0.62:#6d330d 0.84:#9c5018 0.94:#54260a 1:#241004')}
${down('depth', '0:#ffb866:0.25 0.3:#ffb866:0 0.75:#1c0a02:0.1 1:#1c0a02:0.55')}
${across('cap', '0:#0c0c0e 0.12:#2c2c31 0.22:#6c6c74 0.3:#3a3a40 0.6:#1a1a1d 0.88:#2e2e33 1:#08080a')}
${across('paper', '0:#bdb6a6 0.1:#e2dccd 0.28:#fbf8f0 0.6:#efeadd 0.9:#d2cbbb 1:#a9a292')}
<clipPath id="bottle"><path d="${body}"/></clipPath></defs>
<path d="${body}" fill="url(#glass)"/>
<g clip-path="url(#bottle)"><rect x="280" y="320" width="440" height="790" fill="url(#depth)"/>
<path d="M292 1050 L292 1100 L708 1100 L708 1050 C600 1082 400 1082 292 1050 Z" fill="#1a0902" opacity="0.45" filter="url(#b8)"/>
<path d="M326 530 C330 470 380 448 412 424" stroke="#ffe9cf" stroke-width="14" fill="none" opacity="0.8" filter="url(#b3)"/></g>
<path d="M292 600 C400 618 600 618 708 600 L708 968 C600 988 400 988 292 968 Z" fill="url(#paper)"/>
<g>${leaf(-90, 734)}${leaf(-150, 738)}${leaf(-30, 738)}${leaf(-122, 736)}${leaf(-58, 736)}<rect x="497" y="730" width="6" height="44" fill="#55694a"/></g>
${line(800, 212, 16, '#2f3a2b')}${line(832, 132, 8, '#7f8a78')}${line(872, 240, 3, '#b39b5c')}${line(894, 92, 7, '#9aa192')}${line(912, 120, 7, '#9aa192')}
<path d="M292 600 C400 618 600 618 708 600 L708 606 C600 624 400 624 292 606 Z" fill="#b39b5c"/>
<path d="M292 962 C400 982 600 982 708 962 L708 968 C600 988 400 988 292 968 Z" fill="#b39b5c"/>
<g clip-path="url(#bottle)"><rect x="330" y="520" width="26" height="530" fill="#fff" opacity="0.5" filter="url(#b8)"/><rect x="338" y="540" width="8" height="490" fill="#fff" opacity="0.55" filter="url(#b3)"/>
<rect x="674" y="540" width="12" height="490" fill="#ffdcae" opacity="0.4" filter="url(#b3)"/></g>
<path d="M388 150 C388 138 396 132 408 132 L592 132 C604 132 612 138 612 150 L612 342 C560 352 440 352 388 342 Z" fill="url(#cap)"/>
<path d="M388 318 C440 328 560 328 612 318 L612 326 C560 336 440 336 388 326 Z" fill="#b39b5c"/>
<path d="M392 142 C430 150 570 150 608 142 C606 135 600 132 592 132 L408 132 C400 132 394 135 392 142 Z" fill="#8a8a92" opacity="0.7"/>`,
  }
}

function vase(): Drawing {
  const [width, height] = [1100, 1200]
  const body =
    'M458 250 C470 330 452 372 420 430 C356 540 318 630 330 760 C342 900 410 1010 462 1040 C500 1056 600 1056 638 1040 C690 1010 758 900 770 760 C782 630 744 540 680 430 C648 372 630 330 642 250 Z'
  const groove = (y: number, half: number) =>
    `<path d="M${550 - half} ${y} Q550 ${y + half * 0.2} ${550 + half} ${y}" fill="none" stroke="#8f8b84" stroke-width="4" opacity="0.5" filter="url(#b3)"/><path d="M${550 - half} ${y + 7} Q550 ${y + 7 + half * 0.2} ${550 + half} ${y + 7}" fill="none" stroke="#fff" stroke-width="4" opacity="0.9"/>`
  return {
    width,
    height,
    backdrop: `<defs>${down('sheet', '0:#fbfbfb 0.6:#f7f7f6 0.82:#f0efee 1:#e9e8e6')}</defs>${sheet(width, height, 'sheet')}`,
    shadow:
      spot(680, 1046, 320, 34, 0.16, 'b30', '#2c2a28') +
      spot(575, 1048, 150, 18, 0.34, 'b16', '#2c2a28') +
      spot(550, 1047, 106, 8, 0.6, 'b8', '#24221f'),
    product: `<defs>
${across('clay', '0:#bdb8b0 0.06:#d6d2cb 0.2:#efedea 0.36:#fdfdfc 0.55:#efece8 0.8:#cfcac2 0.94:#b3ada4 1:#c2bdb5')}
${down('fade', '0:#ffffff:0.2 0.45:#ffffff:0 1:#6d675e:0.16')}
${down('mouth', '0:#6b655c 0.7:#a7a198 1:#cfcac2')}
<clipPath id="vase"><path d="${body}"/></clipPath></defs>
<path d="${body}" fill="url(#clay)"/>
<g clip-path="url(#vase)"><path d="${body}" fill="none" stroke="#857e74" stroke-width="44" opacity="0.75" filter="url(#b16)"/>
<rect x="300" y="230" width="500" height="840" fill="url(#fade)"/>
${groove(640, 232)}${groove(690, 236)}${groove(740, 238)}${groove(790, 236)}
<ellipse cx="450" cy="620" rx="34" ry="120" fill="#fff" opacity="0.9" filter="url(#b16)"/>
<path d="M478 280 C484 340 474 380 450 430" stroke="#fff" stroke-width="12" fill="none" opacity="0.9" filter="url(#b3)"/></g>
<ellipse cx="550" cy="250" rx="98" ry="27" fill="#dedad4"/><ellipse cx="550" cy="249" rx="95" ry="25" fill="#f6f4f1"/>
<ellipse cx="550" cy="252" rx="80" ry="19" fill="url(#mouth)"/>`,
  }
}

const DRAWINGS: Record<SampleName, Drawing> = { mug: mug(), ring: ring(), bottle: bottle(), vase: vase() }
