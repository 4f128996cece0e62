import { Option } from '@commander-js/extra-typings'
import { date, rate, several, whole } from './arguments.ts'
import type { Program, Run } from './command.ts'

/** The commands that cut out and take away: their arguments and options. */
export function addWork(program: Program, run: Run): void {
  const backfill = program.command('backfill').description('cuts out the photos that are there already')
  backfill
    .command('plan')
    .description('says what is to be paid, and asks for nothing that costs money')
    .option(...FOLDER)
    .option(...SINCE)
    .option(...FROM)
    .option(...INVENTORY)
    .option(...LIMIT)
    .option(...QPS)
    .option(...PRICE)
    .option(
      '--sample <n>',
      'make the cutouts of so many photos, which is paid for, and a page that shows them',
      whole(1),
    )
    .option('--yes', 'do not ask')
    .action(async (_, command) => {
      const { sample, ...options } = command.optsWithGlobals()
      await run({ ...options, running: true }, async (operator) => {
        const { backfillPlan } = await import('./backfill.ts')
        return backfillPlan(operator, { ...options, ...(sample !== undefined && { sample }) })
      })
    })
  backfill
    .command('run')
    .description('cuts out what is missing; run again, it goes on')
    .option(...FOLDER)
    .option(...SINCE)
    .option(...FROM)
    .option(...INVENTORY)
    .option(...LIMIT)
    .option(...QPS)
    .option(...PRICE)
    .option('--failures <file>', 'where failures are added, for --from', 'backfill-failures.jsonl')
    .option('--no-announce', 'tell EVENTS_URL nothing')
    .addOption(new Option('--via <what>', 'let the deployed upload function do it').choices(['function'] as const))
    .option('--in-flight <n>', 'with --via: so many photos at a time (four times what the function works on)', whole(1))
    .option('--yes', 'do not ask')
    .action(async (_, command) => {
      const options = command.optsWithGlobals()
      await run({ ...options, running: true }, async (operator) => {
        const { backfillRun } = await import('./backfill.ts')
        return backfillRun(operator, options)
      })
    })

  const gc = program.command('gc').description('finds, and takes away, what is of no use any more (docs/operate.md)')
  gc.command('plan')
    .description('tells what may go; changes nothing')
    .option(...CUTOUTS)
    .option(...CLAIMS)
    .option(...RECEIPTS)
    .action(async (_, command) => {
      const { cutouts, claims, receipts, ...place } = command.optsWithGlobals()
      await run({ ...place, running: true }, async (operator) => {
        const { gcPlan } = await import('./gc.ts')
        await gcPlan(operator, { cutouts, claims, receipts })
        return 0
      })
    })
  gc.command('run')
    .description('deletes it')
    .option(...CUTOUTS)
    .option(...CLAIMS)
    .option(...RECEIPTS)
    .option('--limit <n>', 'delete so many objects at most', whole(1), Number.POSITIVE_INFINITY)
    .option('--deleted <file>', 'add the keys of what was deleted to a file')
    .option('--force', 'go on even if most photos are gone')
    .option('--yes', 'do not ask')
    .action(async (_, command) => {
      const { cutouts, claims, receipts, limit, deleted, force = false, ...place } = command.optsWithGlobals()
      await run({ ...place, running: true }, async (operator) => {
        const { gcRun } = await import('./gc.ts')
        return gcRun(operator, { cutouts, claims, receipts, limit, deleted, force })
      })
    })

  program
    .command('purge')
    .description('takes away all that was made of a photo, or of the photos of a folder')
    .argument('<key>', 'the key of a photo, or a folder, which ends in /')
    .option('--yes', 'do not ask')
    .action(async (key, _, command) => {
      await run({ ...command.optsWithGlobals(), running: true }, async (operator) => {
        const { purge } = await import('./purge.ts')
        return purge(operator, key)
      })
    })
}

const FOLDER = ['--folder <folder>', 'only what lies in this folder; may be repeated', several] as const
const SINCE = ['--since <date>', 'only what was stored since, such as 2026-01-31', date] as const
const FROM = ['--from <file>', 'only the keys in this file, one a line, or the failures of a run'] as const
const INVENTORY = ['--inventory <manifest>', 'the list of a COS Inventory: a file, or a key of the bucket'] as const
const LIMIT = ['--limit <n>', 'pay for no more calls than these', whole(1)] as const
const QPS = ['--qps <n>', 'paid requests a second', rate, 5] as const
const PRICE = ['--price <price>', 'of a call, 0.01 or "0.01 CNY" (or MATTING_PRICE)'] as const

const CUTOUTS = [
  '--cutouts <days>',
  'how long ago their photos were replaced, or were first seen to be gone',
  whole(0),
  30,
] as const
const CLAIMS = ['--claims <days>', 'the age of claims', whole(1), 1] as const
const RECEIPTS = ['--receipts <days>', 'the age of receipts', whole(2), 400] as const
