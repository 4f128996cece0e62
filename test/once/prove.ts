// npm run prove -- --seeds 50 [--seed FIRST] [--photos 200]: simulates promise 1 (one cutout is paid for once), seed by seed.
import { parseArgs } from 'node:util'
import { simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    photos: { type: 'string', default: '200' },
  },
})
const first = Number(values.seed)
const total = { photos: 0, requests: 0, events: 0, paid: 0, cutouts: 0 }
const faults = new Map<string, number>()
const exceptions = new Map<string, number>()
const began = Date.now()
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const report = await simulate(seed, Number(values.photos))
  const { photos, requests, events, paid, cutouts, ended, deadLetters, problems } = report
  for (const name of ['photos', 'requests', 'events', 'paid', 'cutouts'] as const) total[name] += report[name]
  for (const [name, count] of Object.entries(report.faults)) faults.set(name, (faults.get(name) ?? 0) + count)
  for (const [name, count] of Object.entries(report.exceptions))
    exceptions.set(name, (exceptions.get(name) ?? 0) + count)
  const struck = Object.values(report.faults).reduce((sum, count) => sum + count, 0)
  console.log(
    `seed ${seed}: ${photos} photos, ${requests} requests, ${events} events, ${struck} faults, ${ended} instances ended, ` +
      `${deadLetters} dead letters, ${paid} paid calls, ${cutouts} cutouts${problems.length === 0 ? '' : ': WRONG'}`,
  )
  if (problems.length > 0) {
    for (const problem of problems) console.error(`  ${problem}`)
    console.error(`To repeat it: npm run prove -- --seed ${seed} --seeds 1 --photos ${photos}`)
    process.exit(1)
  }
}
const seconds = Math.round((Date.now() - began) / 1000)
console.log(
  `\n${total.photos} photos, ${total.requests} requests, ${total.events} events in ${seconds} s; faults that struck:`,
)
for (const [name, count] of faults) console.log(`  ${String(count).padStart(6)}  ${name}`)
console.log(
  `${total.paid} paid calls for ${total.cutouts} cutouts: ${(total.paid / total.cutouts).toFixed(4)} each. Further calls, as docs/once.md allows:`,
)
for (const [name, count] of exceptions) console.log(`  ${String(count).padStart(6)}  ${name}`)
