/** What a name stands before, such as the words of a preset. */
type Entry = [name: string, words: string[]]

/**
 * How the values of variables are spelt. Older runtimes of SCF hand the environment over as one text, `NAME=value;NAME=value`,
 * and cut it at every `;` and `=` (scfcli, runtime/nodejs8.9/bootstrap.js): what stands behind them in a value is lost.
 *
 * `encoded(…)` is a value in percent-encoding. No variable may hold anything else that looks like it.
 * @throws URIError
 */
export function decode(value: string): string {
  const [, encoded] = /^encoded\((.*)\)$/s.exec(value) ?? []
  return encoded === undefined ? value : decodeURIComponent(encoded)
}

/**
 * Reads names with their words, `name: word, word, name: word`; a word with a value is `padding-layout 20x10`, and becomes
 * `padding-layout=20x10`. The older spelling means the same: `name=word&word; name=word`, with `separator` between words. It
 * always has a `=`, the newer one never has, and a name must have its colon: so a text of the older one that was cut is refused,
 * and not half of it obeyed.
 * Undefined if there is nothing or a name comes twice; what has no name has the name ''.
 */
export function readEntries(text: string, separator: '&' | ','): Map<string, string[]> | undefined {
  const pairs = text.includes('=') ? readOlder(text, separator) : readPairs(text)
  const entries = new Map(pairs)
  return entries.size === pairs.length && entries.size > 0 ? entries : undefined
}

function readPairs(text: string): Entry[] {
  const entries: Entry[] = []
  for (const item of list(text, ',')) {
    // The last one: a folder may have a colon in its name, a word has none.
    const colon = item.lastIndexOf(':')
    if (colon >= 0 || entries.length === 0) entries.push([item.slice(0, Math.max(colon, 0)).trim(), []])
    const word = item.slice(colon + 1).trim()
    if (word) entries.at(-1)?.[1].push(word.replace(/\s+/, '='))
  }
  return entries
}

function readOlder(text: string, separator: '&' | ','): Entry[] {
  return list(text, ';').map((entry) => {
    const [, name = '', words = ''] = /^([^=]+)=(.*)$/.exec(entry) ?? []
    return [name.trim(), list(words, separator)]
  })
}

/** What stands between separators, trimmed; what is empty is left out. */
export function list(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean)
}
