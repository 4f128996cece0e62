/** What `make` returns; undefined if it throws. */
export function quietly<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
