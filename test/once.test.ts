import { expect, it } from 'vitest'
import { simulate } from './once/simulate.ts'

// The long run is `npm run prove`. The first photos of this seed include slow, frozen, replaced, deleted and resent ones.
it.each([423])('promise 1 under fire, seed %i', async (seed) => {
  const { problems, paid, cutouts, faults } = await simulate(seed, 12)
  expect(problems).toEqual([])
  expect(paid).toBeGreaterThanOrEqual(cutouts)
  expect(Object.values(faults).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(30)
})
