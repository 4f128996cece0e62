/**
 * The keys that a text from the platform may mean: percent-decoded, then as it stands, where the two differ. Whether events and
 * paths come encoded is not documented, so the bucket decides which one exists. Not form decoding: in a COS key `+` is a plus.
 */
export function readings(text: string): string[] {
  try {
    return [...new Set([decodeURIComponent(text), text])]
  } catch {
    return [text]
  }
}
