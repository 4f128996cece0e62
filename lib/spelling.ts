/** A name with its words, such as a preset and its settings. */
type Entry = [name: string, words: string[]]

/**
 * Reads a variable's value. Older runtimes of SCF pass the environment as one text, `NAME=value;NAME=value`, and cut it at
 * every `;` and `=` (scfcli, runtime/nodejs8.9/bootstrap.js), so the part of a value behind these is lost.
 *
 * So a value may be written as `encoded(…)`, in percent-encoding. No variable has another use for this form.
 * @throws URIError
 */
export function decode(value: string): string {
  const [, encoded] = /^encoded\((.*)\)$/s.exec(value) ?? []
  return encoded === undefined ? value : decodeURIComponent(encoded)
}

/**
 * Reads names with their words, `name: word, word, name: word`; a word with a value is `padding-layout 20x10`, and becomes
 * `padding-layout=20x10`. The older spelling `name=word&word; name=word`, with `separator` between words, means the same. It
 * always has a `=`, and the newer spelling never has one, and needs a colon after a name: so an older text that the runtime has
 * cut is refused, instead of read in part. Undefined if there is no entry or a name comes twice; words without a name get the
 * name ''.
 */
export function readEntries(text: string, separator: '&' | ','): Map<string, string[]> | undefined {
  const pairs = text.includes('=') ? readOlder(text, separator) : readPairs(text)
  const entries = new Map(pairs)
  return entries.size === pairs.length && entries.size > 0 ? entries : undefined
}

function readPairs(text: string): Entry[] {
  const entries: Entry[] = []
  for (const item of list(text, ',')) {
    // The last colon, because a folder's name may hold one, and a word never does.
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

/** The trimmed parts between separators; empty ones are left out. */
export function list(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean)
}
