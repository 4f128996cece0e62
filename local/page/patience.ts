/** What COS, or the image function, answers while it has done nothing: the same request may come again. */
const BUSY = 503
const WAITS_MS = [500, 1_000, 2_000, 4_000]

/** Asks again while the answer is that of somebody busy, with longer and longer waits. */
export async function patiently<T extends { status: number }>(ask: () => Promise<T>): Promise<T> {
  for (const wait of WAITS_MS) {
    const answer = await ask()
    if (answer.status !== BUSY) return answer
    await new Promise((resolve) => setTimeout(resolve, wait))
  }
  return ask()
}
