/** Pairs of regions, the cheapest to merge first. */
export class Heap {
  private readonly items: [cost: number, a: number, b: number, length: number][] = []

  push(cost: number, a: number, b: number, length: number): void {
    const { items } = this
    let at = items.length
    items.push([cost, a, b, length])
    while (at > 0) {
      const up = (at - 1) >> 1
      if ((items[up]?.[0] ?? 0) <= cost) break
      this.swap(at, up)
      at = up
    }
  }

  pop(): [a: number, b: number, length: number] | undefined {
    const { items } = this
    const top = items[0]
    const last = items.pop()
    if (!top || !last) return undefined
    if (items.length > 0) {
      items[0] = last
      let at = 0
      for (;;) {
        const left = 2 * at + 1
        const right = left + 1
        let least = at
        if (left < items.length && (items[left]?.[0] ?? 0) < (items[least]?.[0] ?? 0)) least = left
        if (right < items.length && (items[right]?.[0] ?? 0) < (items[least]?.[0] ?? 0)) least = right
        if (least === at) break
        this.swap(at, least)
        at = least
      }
    }
    return [top[1], top[2], top[3]]
  }

  private swap(a: number, b: number): void {
    const [x, y] = [this.items[a], this.items[b]]
    if (x) this.items[b] = x
    if (y) this.items[a] = y
  }
}
