import type { Fault } from '../../local/faults.ts'
import type { LateFate } from './photos.ts'

/** A fault for the photos of these fates while time passes. */
export interface Hold {
  fates: LateFate[]
  fault?: Fault
}

/**
 * Faults that slow down or freeze whoever puts, signs, claims or pays. There are two turns, because the holds of the second one
 * freeze everybody who would pay.
 */
export function holds(random: () => number): Hold[][] {
  const delay = random() < 0.5 ? 3_000 : 12_000
  return [
    [
      { fates: ['slow', 'stopped', 'unsent'] },
      { fates: ['lazy'], fault: hold('uploads/lazy-') },
      { fates: ['twice'], fault: { on: 'PutObject', prefix: 'uploads/twice-', kind: 'delay', ms: delay } },
    ],
    [
      { fates: ['stalled'], fault: hold('.matting/claims/cutouts/uploads/stalled-') },
      { fates: ['frozen', 'overtaken', 'paused'], fault: hold('.matting/receipts/') },
    ],
  ]
}

function hold(prefix: string): Fault {
  return { on: 'PutObject', prefix, kind: 'hold' }
}

/** A mix of everything that can go wrong, different for each seed. */
export function trouble(random: () => number): Fault[] {
  const claims = '.matting/claims/'
  const some = (most: number) => random() * most
  return [
    { on: 'GoodsMatting', kind: 'drop-result', rate: random() < 0.3 ? some(0.05) : 0 },
    { on: 'GoodsMatting', kind: 'lose-answer', rate: some(0.1) },
    { on: 'GoodsMatting', kind: 'kill', rate: some(0.06) },
    { on: 'GoodsMatting', kind: 'reset', rate: some(0.06) },
    { on: 'GoodsMatting', kind: 'error', rate: some(0.06) },
    { on: 'GoodsMatting', kind: 'error-in-200', rate: some(0.03) },
    { on: 'GoodsMatting', kind: 'slow-down', rate: some(0.3) },
    { on: 'GoodsMatting', kind: 'delay', ms: 400, rate: some(0.5) },
    { on: 'Cut', kind: 'delay', ms: 2_000, rate: some(0.1) },
    { on: 'Cut', kind: 'delay', ms: 700, rate: some(0.8) },
    { on: 'PutObject', prefix: 'uploads/', kind: 'lose-answer', rate: some(0.05) },
    { on: 'PutObject', prefix: claims, kind: 'kill', rate: some(0.05) },
    { on: 'PutObject', prefix: claims, kind: 'lose-answer', rate: some(0.1) },
    { on: 'PutObject', prefix: claims, kind: 'error', rate: some(0.1) },
    { on: 'PutObject', prefix: claims, kind: 'race', ms: 20, rate: some(0.1) },
    { on: 'PutObject', prefix: '.matting/receipts/', kind: 'kill', rate: some(0.03) },
    { on: 'PutObject', prefix: '.matting/receipts/', kind: 'lose-answer', rate: some(0.1) },
    { on: 'HeadObject', kind: 'error', rate: some(0.05) },
    { on: 'HeadObject', kind: 'reset', rate: some(0.05) },
    { on: 'GetObject', kind: 'reset', rate: some(0.05) },
    { on: 'Event', kind: 'duplicate', rate: 0.3 + some(0.5) },
    { on: 'Event', kind: 'delay', ms: 300, rate: some(0.6) },
    { on: 'Instance', kind: 'skew', ms: 600_000, rate: 0.25 },
    { on: 'Instance', kind: 'skew', ms: -600_000, rate: 0.25 },
  ]
}
