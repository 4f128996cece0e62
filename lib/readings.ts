/**
 * The keys that a text from the platform may mean: first percent-decoded, then unchanged if that differs. It is not documented
 * whether events and paths are encoded, so the bucket decides: one of the keys exists. No form decoding, because in a COS key
 * `+` is a plus.
 */
export function readings(text: string): string[] {
  try {
    return [...new Set([decodeURIComponent(text), text])]
  } catch {
    return [text]
  }
}
