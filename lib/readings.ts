/**
 * The keys that a text from the platform may mean: first percent-decoded, then unchanged if that differs. It is not documented
 * whether events and paths are encoded, so the bucket decides: one of the keys exists. A `+` is never read as a blank, as in
 * forms, because in a COS key it is a plus.
 */
export function readings(text: string): string[] {
  try {
    return [...new Set([decodeURIComponent(text), text])]
  } catch {
    return [text]
  }
}
