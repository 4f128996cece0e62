/** The codes of the colours and weights that this project prints, of which none hides a text. */
const COLOUR = /^\[(?:1|2|22|31|32|33|39)m/

/** A key may hold control characters, which a terminal would obey, also those that turn the direction of a line; colours stay. */
export function safe(line: string): string {
  return line.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (character, at: number) =>
    character === '\u001b' && COLOUR.test(line.slice(at + 1, at + 5)) ? character : '?',
  )
}
