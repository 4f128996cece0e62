/** A value that others watch. */
export interface Cell<T> {
  readonly value: T
  set(value: T): void
  /** Calls at once and at each change, until the signal ends it. */
  watch(signal: AbortSignal, see: (value: T) => void): void
}

/** @param keep called at each change before those who watch, to remember the value */
export function cell<T>(first: T, keep: (value: T) => void = () => {}): Cell<T> {
  let value = first
  const watchers = new Set<(value: T) => void>()
  return {
    get value() {
      return value
    },
    set(next) {
      if (next === value) return
      value = next
      keep(next)
      for (const see of [...watchers]) see(next)
    },
    watch(signal, see) {
      watchers.add(see)
      signal.addEventListener('abort', () => watchers.delete(see))
      see(value)
    },
  }
}
