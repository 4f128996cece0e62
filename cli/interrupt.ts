/** Listens for Ctrl-C. */
export interface Interrupt {
  /** Aborted when it was pressed once. */
  signal: AbortSignal
  end(): void
}

/** The first Ctrl-C asks to come to an end, the second one ends the process at once. */
export function onInterrupt(say: (line: string) => void): Interrupt {
  const controller = new AbortController()
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
    say('No further photo is begun; those under way are finished. Ctrl-C again ends at once.')
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, interrupt)
  return {
    signal: controller.signal,
    end() {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, interrupt)
    },
  }
}
