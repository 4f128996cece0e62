// The licences of what is bundled, which ask to be in every copy of it.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The text of MIT, for packages that name it and carry none. */
const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`

/**
 * One text: the licence of each package of which something is in the bundles, by esbuild's metafile, whose paths start at `root`.
 * Throws if a package has none that could be carried along.
 * @param {Pick<import('esbuild').Metafile, 'outputs'>} metafile
 * @param {string} root
 */
export async function licences({ outputs }, root) {
  const files = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs))
  const folders = new Set(files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []))
  return (await Promise.all([...folders].sort().map((folder) => licence(join(root, folder))))).join('\n')
}

/** @param {string} folder */
async function licence(folder) {
  const { name, version, license, author } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const texts = (await readdir(folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '')
  const [notice = `Copyright (c) ${author?.name ?? author ?? name}`] = /copyright \(c\).*/i.exec(readme) ?? []
  if (texts.length === 0 && license !== 'MIT') throw new Error(`${name} is bundled, and carries no text of its licence`)
  const text = texts.length
    ? (await Promise.all(texts.map((file) => readFile(join(folder, file), 'utf8')))).join('\n')
    : `MIT License\n\n${notice.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')}\n\n${MIT}`
  return `${'-'.repeat(72)}\n${name} ${version}\n\n${text.trim()}\n`
}
