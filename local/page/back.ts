export type Back = ReturnType<typeof createBack>

/** Lets the browser's Back close what lies over the page: on a phone it fills the window, as a page does. */
export function createBack() {
  /** Whether the history has no entry any more of what was closed: the browser goes back later, and would go back over a new one. */
  let isLeft = Promise.resolve()
  function leave(): Promise<void> {
    return new Promise((resolve) => {
      addEventListener('popstate', () => resolve(), { once: true })
      history.back()
    })
  }
  // Left over from before a reload.
  if (history.state === 'over') isLeft = leave()
  return {
    /** @param close called when somebody goes back. @returns to be called when it is closed */
    enter(close: () => void): () => void {
      const end = new AbortController()
      const hasEntered = isLeft.then(() => {
        if (end.signal.aborted) return false
        history.pushState('over', '')
        addEventListener(
          'popstate',
          () => {
            end.abort()
            close()
          },
          { signal: end.signal },
        )
        return true
      })
      return () => {
        if (end.signal.aborted) return
        end.abort()
        isLeft = hasEntered.then((entered) => (entered ? leave() : undefined))
      }
    },
  }
}
