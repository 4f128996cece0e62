/** The fields of a text of JSON; none if it is none. */
export function json(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
