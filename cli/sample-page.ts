/** A photo of a sample with its cutouts, as files beside the page. */
export interface Shown {
  key: string
  photo: string
  cutouts: { layout: string; file: string; size: string }[]
  failure?: string
}

const STYLE = `
:root { color-scheme: light dark; --line: #d8d8dc; --text: #1c1c1e; --dim: #62626a; --ground: #fbfbfc; --a: #fff; --b: #e3e3e8; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --line: #3a3a3e; --text: #eee; --dim: #a4a4ac; --ground: #161618; --a: #2c2c30; --b: #3c3c42; --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 2rem auto; padding: 0 1.25rem; max-width: 72rem; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.5rem }
header p { margin: .25rem 0 1rem; color: var(--dim) }
fieldset { display: flex; gap: 1rem; flex-wrap: wrap; margin: 0 0 1.5rem; padding: 0; border: 0 }
section { padding: 1.25rem 0; border-top: 1px solid var(--line) }
h2 { margin: 0 0 .75rem; font: 600 .95rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr)); gap: 1rem }
figure { margin: 0 }
img { display: block; width: 100%; height: 16rem; object-fit: contain; border: 1px solid var(--line); border-radius: .5rem }
.cutout img { background: repeating-conic-gradient(var(--a) 0 25%, var(--b) 0 50%) 0 0 / 20px 20px }
body:has(#white:checked) .cutout img { background: #fff }
body:has(#black:checked) .cutout img { background: #000 }
body:has(#green:checked) .cutout img { background: #2e9e4f }
figcaption { margin-top: .35rem; color: var(--dim); font-size: .875rem }
.bad { margin: 0; align-self: center; color: var(--bad) }
`

const GROUNDS = ['checkered', 'white', 'black', 'green']

/** The page of a sample: files beside it, no script, and nothing from elsewhere. */
export function page(photos: readonly Shown[]): string {
  const cutouts = photos.reduce((sum, one) => sum + one.cutouts.length, 0)
  const failed = photos.filter(({ failure }) => failure !== undefined).length
  const grounds = GROUNDS.map(
    (name, i) => `<label><input type="radio" name="ground" id="${name}"${i === 0 ? ' checked' : ''}> ${name}</label>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<title>Backfill sample: ${photos.length} photos</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Backfill sample</h1>
<p>${photos.length} photos, ${cutouts} cutouts${failed > 0 ? `, ${failed} failed` : ''}</p>
<fieldset aria-label="Ground behind the cutouts">${grounds.join(' ')}</fieldset>
</header>
<main>
${photos.map(section).join('\n')}
</main>
</body>
</html>
`
}

function section({ key, photo, cutouts, failure }: Shown): string {
  const name = html(key)
  const figures = cutouts.map(
    ({ layout, file, size }) =>
      `<figure class="cutout"><img src="${file}" alt="Cutout of ${name}, layout ${layout}" loading="lazy"><figcaption>${layout}${size && ` · ${size}`}</figcaption></figure>`,
  )
  return `<section>
<h2>${name}</h2>
<div class="row">
<figure><img src="${photo}" alt="Original of ${name}" loading="lazy"><figcaption>photo</figcaption></figure>
${figures.join('\n')}${failure === undefined ? '' : `<p class="bad">${html(failure)}</p>`}
</div>
</section>`
}

function html(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
