type Child = Node | string | false | undefined
type Value = string | number | boolean | undefined | ((event: Event) => void)

/**
 * Makes an element. What is given as text stays text, so no key and no name can become markup. A function is a listener:
 * `{ click: () => … }`; other values are attributes.
 */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(key, value)
    else if (value === true) made.setAttribute(key, '')
    else if (value !== undefined && value !== false) made.setAttribute(key, String(value))
  }
  made.append(...children.filter((child) => child !== undefined && child !== false))
  return made
}

/** Writes text only where it differs, so that nothing is laid out anew or read aloud for nothing. */
export function write(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text
}

let numbered = 0

/** A name for `id`, `for` and `aria-labelledby`. */
export function freshId(): string {
  numbered += 1
  return `n${numbered}`
}

/** Puts nodes in order, and moves only those that are not where they belong: what stays keeps its focus and its scroll. */
export function arrange(list: HTMLElement, nodes: readonly HTMLElement[]): void {
  const wanted = new Set<Element>(nodes)
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove()
  let place = list.firstElementChild
  for (const node of nodes) {
    if (node === place) place = place.nextElementSibling
    else list.insertBefore(node, place)
  }
}
