import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { readConfig } from '../lib/config.ts'
import { codes } from '../lib/errors.ts'
import { rolePolicy } from '../lib/policy.ts'

const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** Rows of the table under a header line, cells trimmed. */
function table(header: string): string[][] {
  const after = text.slice(text.indexOf(header)).split('\n').slice(2)
  const end = after.findIndex((line) => !line.startsWith('|'))
  return after.slice(0, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

describe('README', () => {
  it('shows the two commands in the first 20 lines', () => {
    const first = text.split('\n').slice(0, 20).join('\n')
    expect(first).toContain('npm ci && npm start')
    expect(first).toContain('npm ci && npm test')
  })

  it('lists the variables that are read, with their true defaults', () => {
    const rows = table('| variable | default | meaning |')
    const read = new Set<string>()
    const required = { COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }
    const spy = new Proxy<Record<string, string>>(required, {
      get: (env, name) => {
        read.add(String(name))
        return Reflect.get(env, name)
      },
    })
    const config = readConfig(spy)
    expect(rows.map(([name]) => name).sort()).toEqual([...read].sort())
    const defaults = rows.flatMap(([name = '', value = '']) =>
      /^`[^`]+`$/.test(value) ? [[name, value.slice(1, -1)]] : [],
    )
    expect(defaults.length).toBeGreaterThan(5)
    expect(readConfig({ ...required, ...Object.fromEntries(defaults) })).toEqual(config)
  })

  it('lists every error code with its status', () => {
    const rows = table('| code | status | when |').flatMap(([names = '', status]) =>
      names.split(', ').map((name) => [name, status]),
    )
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries([...codes].map(([code, { status }]) => [code, code === 'bad-event' ? '–' : String(status)])),
    )
  })

  it('shows a signed URL that is one', () => {
    const grant = { layout: 'card', key: 'uploads/mug.jpg', expires: 1_798_761_600 }
    expect(text).toContain(`\n${imageUrl('', grant, 'shop', '0123456789abcdef')}\n`)
  })

  it('shows the policy that the local cloud gives the role', () => {
    const [, json = ''] = /```json\n(\{"version".*?)```/s.exec(text) ?? []
    const config = readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' })
    expect(JSON.parse(json)).toEqual(rolePolicy(config))
  })

  it('links to what exists', () => {
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !target.startsWith('http'))
    expect(links.length).toBeGreaterThan(5)
    for (const link of links) expect(existsSync(new URL(`../${link}`, import.meta.url)), link).toBe(true)
  })
})
