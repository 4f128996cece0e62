import fc from 'fast-check'

/** How many code points are no characters, but halves of pairs; they begin at FIRST_HALF. */
const HALVES = 0x800
const FIRST_HALF = 0xd800

/**
 * Any character. fast-check's own unit `binary` is the same, but makes a map of all million characters first, which takes
 * most of a second in each process, and keeps it.
 */
export const character = fc.nat({ max: 0x10ffff - HALVES }).map(
  (n) => String.fromCodePoint(n < FIRST_HALF ? n : n + HALVES),
  (text) => {
    const code = typeof text === 'string' ? (text.codePointAt(0) ?? 0) : 0
    if (text !== String.fromCodePoint(code)) throw new Error('not one character')
    return code < FIRST_HALF ? code : code - HALVES
  },
)
