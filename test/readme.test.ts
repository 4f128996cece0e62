import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { ANNOUNCEMENTS } from '../lib/announce.ts'
import { readConfig } from '../lib/config.ts'
import { codes } from '../lib/errors.ts'
import { rolePolicy } from '../lib/policy.ts'

const pages = readdirSync('docs').filter((name) => name.endsWith('.md'))
const texts = new Map(
  ['README.md', 'README.zh-CN.md', 'CONTRIBUTING.md', ...pages.map((name) => `docs/${name}`)].map((file) => [
    file,
    readFileSync(file, 'utf8'),
  ]),
)
const read = (file: string) => texts.get(file) ?? ''

/** Rows of all tables under such a header line, in whatever page, cells trimmed. */
function tables(header: string): string[][] {
  return [...texts.values()]
    .flatMap((text) => text.split(`${header}\n`).slice(1))
    .flatMap((after) => {
      const lines = after.split('\n').slice(1)
      const end = lines.findIndex((line) => !line.startsWith('|'))
      return lines.slice(0, end).map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      )
    })
}

describe('the README', () => {
  it('shows the two commands in the first 20 lines, and is short', () => {
    const lines = read('README.md').split('\n')
    expect(lines.slice(0, 20).join('\n')).toMatch(/npm ci && npm start.*npm ci && npm test/s)
    expect(lines.length).toBeLessThanOrEqual(125)
  })

  it('says the same in Chinese: the same headings, commands and links', () => {
    const [english = '', chinese = ''] = ['README.md', 'README.zh-CN.md'].map(read)
    const marks = (text: string) => text.match(/^#+ /gm)
    const blocks = (text: string) => text.match(/```[\s\S]*?```/g)
    // Each links to the other.
    const links = (text: string) => linksOf(text).filter((link) => !/^README/.test(link))
    expect(marks(chinese)).toEqual(marks(english))
    expect(blocks(chinese)).toEqual(blocks(english))
    expect(links(chinese)).toEqual(links(english))
    expect([linksOf(chinese).includes('README.md'), linksOf(english).includes('README.zh-CN.md')]).toEqual([true, true])
  })
})

function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

describe('the documentation', () => {
  it('lists each variable that is read once, with its true default', () => {
    const rows = tables('| variable | default | meaning |')
    const names = new Set<string>()
    const required = { COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }
    const spy = new Proxy<Record<string, string>>(required, {
      get: (env, name) => {
        names.add(String(name))
        return Reflect.get(env, name)
      },
    })
    const config = readConfig(spy)
    expect(rows.map(([name]) => name).sort()).toEqual([...names].sort())
    const defaults = rows.flatMap(([name = '', value = '']) =>
      /^`[^`]+`$/.test(value) ? [[name, value.slice(1, -1)]] : [],
    )
    expect(defaults.length).toBeGreaterThan(5)
    expect(readConfig({ ...required, ...Object.fromEntries(defaults) })).toEqual(config)
  })

  it('lists each error code once, with its status', () => {
    const rows = tables('| code | status | when |').flatMap(([names = '', status]) =>
      names.split(', ').map((name) => [name, status]),
    )
    const expected = [...codes].map(([code, { status }]) => [code, code === 'bad-event' ? '–' : String(status)])
    expect(rows.sort()).toEqual(expected.sort())
  })

  it('lists each type of event once', () => {
    const rows = tables('| type | when | `data` |').map(([type = '']) => /^\[(.*)\]/.exec(type)?.[1])
    expect(rows.sort()).toEqual([...ANNOUNCEMENTS].sort())
  })

  it('shows a signed URL that is one', () => {
    const grant = { layout: 'card', key: 'uploads/mug.jpg', expires: 1_798_761_600 }
    expect(read('docs/http.md')).toContain(`\n${imageUrl('', grant, 'shop', '0123456789abcdef')}\n`)
  })

  it('shows the policy that the local cloud gives the role', () => {
    const [, json = ''] = /```json\n(\{"version".*?)```/s.exec(read('docs/deploy.md')) ?? []
    const config = readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' })
    expect(JSON.parse(json)).toEqual(rolePolicy(config))
  })

  it('links to what exists, and the README to each page', () => {
    for (const [file, text] of texts) {
      for (const link of linksOf(text).filter((link) => !link.startsWith('http'))) {
        const [path = '', heading] = link.split('#')
        const target = path === '' ? file : join(dirname(file), path)
        expect(existsSync(target), `${file}: ${link}`).toBe(true)
        if (heading !== undefined) expect(headingsOf(read(target)), `${file}: ${link}`).toContain(heading)
      }
    }
    for (const name of pages) expect(linksOf(read('README.md'))).toContain(`docs/${name}`)
  })
})

/** As they stand behind the # of a link. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
}
