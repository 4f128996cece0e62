import { spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import loadNext from '../docs/recipes/next-image-loader.ts'
import { imageSet, imageUrl, readGrant } from '../lib/access.ts'
import { MattingError } from '../lib/errors.ts'
import { readings } from '../lib/readings.ts'

const ORIGIN = 'https://img.example.com'
const SECRETS = new Map([
  ['new', 'a secret of 16 and more characters'],
  ['old', 'another secret, rotated out soon'],
])

/** Reads a URL as request.ts does, which knows neither origin nor method. */
function read(url: string, secrets = SECRETS) {
  const { pathname, searchParams } = new URL(url)
  const [, layout = '', path = ''] = /^\/([^/]+)\/(.+)$/.exec(pathname) ?? []
  return readGrant(readings(layout)[0] ?? '', readings(path), searchParams, secrets)
}

function code(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error instanceof MattingError ? [error.code, error.status] : error
  }
}

const NOW = 1_700_000_000

const grant = { layout: 'card', key: 'uploads/shoe 01(红)+%.jpg', expires: NOW + 60 }
const signed = (id = 'new', secret = SECRETS.get(id) ?? '') => imageUrl(ORIGIN, grant, id, secret)

describe('a signed image URL', () => {
  it('is HMAC-SHA256 over layout, key and expiry, in the query', () => {
    const text = `card\nuploads/shoe 01(红)+%.jpg\n${grant.expires}`
    const sig = createHmac('sha256', SECRETS.get('new') ?? '')
      .update(text)
      .digest('base64url')
    expect(signed()).toBe(
      `${ORIGIN}/card/uploads/shoe%2001%28%E7%BA%A2%29%2B%25.jpg?exp=${grant.expires}&kid=new&sig=${sig}`,
    )
  })

  it('grants what it was made for, with every key that is known', () => {
    for (const id of SECRETS.keys()) expect(read(signed(id))).toEqual(grant)
  })

  it('of a picture elsewhere carries its URL whole', () => {
    const elsewhere = { ...grant, key: 'HTTPS://pictures.example/a b.jpg?v=1&w=2#x' }
    const url = imageUrl(ORIGIN, elsewhere, 'new', SECRETS.get('new') ?? '')
    expect(new URL(url).pathname.split('/')).toHaveLength(3)
    expect(read(url)).toEqual(elsewhere)
  })

  it('any layout, key, expiry, id and secret: it grants them and nothing else', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    const key = text.filter((key) => !/^[./]|\/\.|^$/.test(key))
    fc.assert(
      fc.property(
        key,
        fc.integer({ min: NOW + 1, max: 999_999_999_999 }),
        text,
        text.filter((other) => other !== ''),
        (key, expires, secret, other) => {
          const wanted = { layout: 'center-layout=1,padding-layout=20x10', key, expires }
          const secrets = new Map([['k-1', secret]])
          const url = imageUrl(ORIGIN, wanted, 'k-1', secret)
          expect(read(url, secrets)).toEqual(wanted)
          if (other !== secret) expect(code(() => read(url, new Map([['k-1', other]])))).toEqual(['bad-signature', 403])
        },
      ),
    )
  })

  it.each<[string, (url: string) => string, string]>([
    ['another layout', (url) => url.replace('/card/', '/plain/'), 'bad-signature'],
    ['another key', (url) => url.replace('shoe', 'boot'), 'bad-signature'],
    ['a later expiry', (url) => url.replace(/exp=(\d+)/, (_, exp) => `exp=${Number(exp) + 1}`), 'bad-signature'],
    ['an expiry spelt differently', (url) => url.replace('exp=', 'exp=0'), 'bad-signature'],
    ['an expiry that is no number', (url) => url.replace(/exp=\d+/, 'exp=never'), 'bad-signature'],
    ['another key id', (url) => url.replace('kid=new', 'kid=old'), 'bad-signature'],
    ['an unknown key id', (url) => url.replace('kid=new', 'kid=__proto__'), 'bad-signature'],
    ['no key id', (url) => url.replace('kid=new&', ''), 'bad-signature'],
    ['no signature', (url) => url.replace(/&sig=.*/, ''), 'bad-signature'],
    ['an empty signature', (url) => url.replace(/&sig=.*/, '&sig='), 'bad-signature'],
    ['a shorter signature', (url) => url.slice(0, -1), 'bad-signature'],
    ['a longer signature', (url) => `${url}A`, 'bad-signature'],
    ['nothing signed at all', (url) => url.replace(/\?.*/, ''), 'bad-signature'],
    ['a line break in its layout', (url) => url.replace('/card/', '/card%0Auploads/'), 'bad-signature'],
    ['a second expiry', (url) => `${url}&exp=9999999999`, 'bad-request'],
    ['a second signature', (url) => `${url}&sig=x`, 'bad-request'],
  ])('with %s is refused', (_, change, expected) => {
    expect(change(signed())).not.toBe(signed())
    expect(code(() => read(change(signed())))).toEqual([expected, expected === 'bad-request' ? 400 : 403])
  })

  it('no single character of it can be changed', () => {
    const meaning = (url: string) => {
      const { pathname, searchParams } = new URL(url)
      return [readings(pathname)[0], ...['exp', 'kid', 'sig'].map((name) => searchParams.getAll(name))].join('\n')
    }
    const url = signed()
    for (let i = ORIGIN.length + 1; i < url.length; i++) {
      for (const other of ['A', 'b', '0', '%', '/', '&', '+', '.']) {
        const changed = url.slice(0, i) + other + url.slice(i + 1)
        if (meaning(changed) !== meaning(url))
          expect(
            code(() => read(changed)),
            changed,
          ).not.toEqual(grant)
      }
    }
  })
})

/** The attributes of an element, as a browser reads them. */
function attributes(html: string): Record<string, string> {
  const named: Record<string, string> = { quot: '"', lt: '<', gt: '>', amp: '&' }
  const plain = (text: string) =>
    text.replace(/&(?:#(x?)([\da-f]+)|(\w+));/g, (_, hex, code, name) =>
      name ? (named[name] ?? '') : String.fromCharCode(Number.parseInt(code, hex ? 16 : 10)),
    )
  return Object.fromEntries(
    [...html.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, name, value = '']) => [name, plain(value)]),
  )
}

describe('an image set', () => {
  const page = { layout: 'card', key: grant.key, widths: [640, 160, 320], sizes: '320px', width: 1, height: 1, alt: '' }

  it('has an image URL for each width, the widest for browsers that know no srcset', () => {
    const { src, srcset, sizes } = imageSet(ORIGIN, page)
    const url = (width: number) => `${ORIGIN}/card%2Cwidth%3D${width}/uploads/shoe%2001%28%E7%BA%A2%29%2B%25.jpg`
    expect(src).toBe(url(640))
    expect(srcset).toBe(`${url(160)} 160w, ${url(320)} 320w, ${url(640)} 640w`)
    expect(sizes).toBe('320px')
  })

  it('without widths is the picture as it is', () => {
    const { src, srcset, img } = imageSet(ORIGIN, { ...page, widths: [] })
    expect([src, srcset]).toEqual([`${ORIGIN}/card/uploads/shoe%2001%28%E7%BA%A2%29%2B%25.jpg`, ''])
    expect(attributes(img)).toEqual({ src, width: '1', height: '1', alt: '', loading: 'lazy' })
  })

  it('is one element, whatever the texts are', () => {
    const texts = fc.string({ unit: 'grapheme', maxLength: 30 })
    fc.assert(
      fc.property(texts, texts, (alt, sizes) => {
        const { img, src, srcset } = imageSet(ORIGIN, { ...page, alt, sizes })
        expect(img).toMatch(/^<img( [a-z]+="[^"<>]*"){7}>$/s)
        expect(attributes(img)).toEqual({ src, srcset, sizes, width: '1', height: '1', alt, loading: 'lazy' })
      }),
    )
  })

  it('is what the recipe for Next.js asks for, the next larger width that there is', () => {
    const { srcset } = imageSet(ORIGIN, page)
    const asked = [16, 160, 161, 640, 3840].map((width) => loadNext({ src: grant.key, width }))
    const paths = srcset.split(', ').map((entry) => decodeURIComponent(new URL(entry.split(' ')[0] ?? '').pathname))
    expect(asked.map((url) => paths.indexOf(decodeURIComponent(new URL(url).pathname)))).toEqual([0, 0, 1, 2, 2])
  })

  it('is signed width by width', () => {
    const secret = SECRETS.get('new') ?? ''
    const { srcset } = imageSet(ORIGIN, { ...page, signer: { id: 'new', secret, expires: grant.expires } })
    const granted = srcset.split(', ').map((entry) => read(entry.split(' ')[0] ?? ''))
    expect(granted).toEqual([160, 320, 640].map((width) => ({ ...grant, layout: `card,width=${width}` })))
  })
})

describe('recipes in other languages', () => {
  const recipes = [
    ['python3', 'image-url.py'],
    ['sh', 'image-url.sh'],
    ['php', 'image-url.php'],
  ] as const
  const keys = [
    'uploads/mug.jpg',
    'uploads/shoe 01(红).jpg',
    "uploads/a+b%20c#d?e&f='g'\"~.jpg",
    'uploads//double/😀.jpg',
    'https://pictures.example/a%20b.jpg?v=1&w=2',
  ]

  for (const [interpreter, file] of recipes) {
    const missing = [interpreter, ...(file.endsWith('.sh') ? ['openssl', 'od'] : [])].find(
      (program) => spawnSync(program, ['--version']).error,
    )
    if (missing) console.warn(`SKIPPED: docs/recipes/${file}, for there is no ${missing} here`)
    it.skipIf(missing)(`${file} makes the same URLs`, () => {
      const path = fileURLToPath(new URL(`../docs/recipes/${file}`, import.meta.url))
      for (const [i, key] of keys.entries()) {
        const wanted = { layout: i % 2 ? 'card' : 'center-layout=1,padding-layout=20x10', key, expires: grant.expires }
        const secret = SECRETS.get('new') ?? ''
        const args = [path, ORIGIN, wanted.layout, key, String(grant.expires), 'new', secret]
        const { stdout, stderr } = spawnSync(interpreter, args, { encoding: 'utf8' })
        expect(stderr).toBe('')
        expect(read(stdout.trim())).toEqual(wanted)
        const segments = (url: string) => new URL(url).pathname.split('/').length
        expect(segments(stdout)).toBe(segments(imageUrl(ORIGIN, wanted, 'new', secret)))
      }
    })

    it.skipIf(missing || file.endsWith('.sh'))(`${file} makes the same image sets`, () => {
      const path = fileURLToPath(new URL(`../docs/recipes/${file}`, import.meta.url))
      const [key = '', secret = ''] = [grant.key, SECRETS.get('new')]
      const args = [path, ORIGIN, 'card', key, String(grant.expires), 'new', secret, '640,160,320']
      const { stdout, stderr } = spawnSync(interpreter, args, { encoding: 'utf8' })
      expect(stderr).toBe('')
      const signer = { id: 'new', secret, expires: grant.expires }
      const page = {
        layout: 'card',
        key,
        widths: [160, 320, 640],
        sizes: '320px',
        width: 1,
        height: 1,
        alt: '',
        signer,
      }
      const [theirs, ours] = [attributes(stdout), attributes(imageSet(ORIGIN, page).img)]
      const paths = (text = '') => text.split(', ').map((entry) => decodeURIComponent(entry))
      expect(paths(theirs.srcset)).toEqual(paths(ours.srcset))
      expect({ ...theirs, srcset: '', src: '' }).toEqual({ ...ours, srcset: '', src: '' })
      expect(paths(theirs.src)).toEqual(paths(ours.src))
    })
  }
})
