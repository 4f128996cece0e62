import type { StruckFault } from './api.ts'
import { toggle } from './control.ts'
import { element, freshId, write } from './element.ts'
import type { Scene } from './scene.ts'
import type { FaultPreset } from './wire.ts'

/** Switches that make trouble. What they do is told before, and seen on the meter after. */
export function faults({ text, api, live, meter, signal, announce }: Scene): HTMLElement {
  const list = element('ul', {})
  let isSet: readonly StruckFault[] = []
  const switches = new Map<FaultPreset, { box: HTMLInputElement; struck: HTMLElement }>()

  async function load(): Promise<void> {
    const [presets, set] = await Promise.all([api.faultPresets(), api.faults()])
    switches.clear()
    list.replaceChildren(
      ...presets.map((preset) => {
        const id = freshId()
        const { box, node } = toggle(text.faultNames[preset.name], false, () => void apply(), id)
        const struck = element('span', { class: 'struck' })
        switches.set(preset, { box, struck })
        return element('li', {}, node, struck, element('p', { class: 'help', id }, text.faultHelp[preset.name]))
      }),
    )
    show(set)
  }

  /** What is set is on, whoever has set it. */
  function show(set: readonly StruckFault[]): void {
    isSet = set
    for (const [{ faults }, { box, struck }] of switches) {
      const found = faults.map((fault) => set.find((one) => one.on === fault.on && one.kind === fault.kind))
      const times = found.reduce((sum, one) => sum + (one?.struck ?? 0), 0)
      box.checked = found.length > 0 && found.every((one) => one !== undefined)
      write(struck, times > 0 ? text.struck(times) : '')
    }
  }

  async function apply(): Promise<void> {
    const on = [...switches].flatMap(([{ faults }, { box }]) => (box.checked ? faults : []))
    await api.setFaults(on).then(show, ({ message }: Error) => {
      announce(message)
      // What could not be set is not on.
      show(isSet)
    })
  }

  let asking = false
  async function look(): Promise<void> {
    if (asking || ![...switches.values()].some(({ box }) => box.checked)) return
    asking = true
    await api.faults().then(show, () => {})
    asking = false
  }
  live.state.watch(signal, (now) => {
    if (now === 'open') load().catch(() => {})
  })
  // Whenever a function has run, one of them may have struck.
  let last = 0
  live.changes.watch(signal, () => {
    const line = live.lines.at(-1)
    if (line?.type !== 'invocation' || line.number === last) return
    last = line.number
    void look()
  })
  const sum = element('p', { class: 'sum' })
  meter.watch(signal, (now) => write(sum, now ? text.paidForAll(now.paid, now.cutouts) : ''))
  return element(
    'section',
    { class: 'faults', 'aria-labelledby': 'faults' },
    element('h3', { id: 'faults' }, text.faults),
    element('p', { class: 'help' }, text.faultsHelp),
    sum,
    list,
  )
}
