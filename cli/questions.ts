import { Option } from '@commander-js/extra-typings'
import { day, time, widths } from './arguments.ts'
import { type Program, type Run, tell } from './command.ts'

/** The commands that answer questions, and pay nothing: their arguments and options. */
export function addQuestions(program: Program, run: Run): void {
  program
    .command('explain')
    .description('says why a photo has no cutout, and all that is known of it')
    .argument('<key>', 'key of the photo')
    .action(async (key, _, command) => {
      await run({ ...command.optsWithGlobals(), running: true }, async (operator) => {
        const { explain, printExplanation } = await import('./explain.ts')
        tell(operator, await explain(operator, key), printExplanation)
        return 0
      })
    })

  program
    .command('check')
    .description('says whether a photo, an image URL or an event would be allowed, and what it would cost')
    .argument('<what>', 'key of a photo, image URL, or file of an event (.json)')
    .action(async (what, _, command) => {
      await run({ ...command.optsWithGlobals(), running: true }, async (operator) => {
        const { check, printChecked } = await import('./check.ts')
        const checked = await check(operator, what)
        tell(operator, checked, printChecked)
        return checked.every(({ allowed }) => allowed) ? 0 : 1
      })
    })

  program
    .command('url')
    .description('prints the image URL of a photo, or an <img> with several widths')
    .argument('<key>', 'key of the photo')
    .option('--preset <text>', 'preset, or layout and view: card,width=320', 'plain')
    .option('--widths <list>', 'widths in pixels, separated by commas', widths, [])
    .option('--expires <time>', 'with ACCESS=signed: how long it is good, such as 15m, 12h or 30d', time, 3_600)
    .option('--origin <url>', "the image function's, or that of the CDN in front of it")
    .option('--key-id <id>', 'which of URL_KEYS signs; the first')
    .action(async (key, _, command) => {
      const { preset, widths, expires, origin, keyId, ...place } = command.optsWithGlobals()
      await run({ ...place, running: true }, async (operator) => {
        const { address } = await import('./address.ts')
        const told = await address(operator, key, { preset, widths, expires, origin, keyId })
        tell(operator, told, ({ url, set }) => [set?.img ?? url])
        return 0
      })
    })

  program
    .command('bill')
    .description('adds up the paid calls of some days, by their receipts')
    .option('--from <day>', 'first day, UTC (the first of the month)', day)
    .option('--to <day>', 'last day (today)', day)
    .addOption(
      new Option('--by <what>', 'one line for each')
        .choices(['day', 'layout', 'asker', 'folder'])
        .default('day' as const),
    )
    .option('--csv', 'for a spreadsheet')
    .option('--price <amount>', 'of one call, such as "0.01 CNY" (MATTING_PRICE)')
    .action(async (_, command) => {
      const { from, to, by, csv: isCsv, price: said, ...place } = command.optsWithGlobals()
      await run({ ...place, running: true }, async (operator) => {
        const { csv, printBill, readBill } = await import('./bill.ts')
        const { readPrice } = await import('./price.ts')
        const known = said ?? operator.variable('MATTING_PRICE')
        const price = known === undefined ? undefined : readPrice(known)
        const bill = await readBill(operator, { from, to, by, price })
        if (isCsv && !operator.terminal.json) for (const line of csv(bill, by)) console.log(line)
        else tell(operator, bill, (bill) => printBill(bill, price))
        return 0
      })
    })

  program
    .command('replay')
    .description('gives the events of dead letters to the upload function again')
    .argument('[file]', 'letters as JSON, or - for standard input; with --local those of its queue')
    .option('--dry-run', 'only count them')
    .action(async (file, _, command) => {
      const { dryRun = false, ...place } = command.optsWithGlobals()
      await run({ ...place, running: true }, async (operator) => {
        const { replay } = await import('./replay.ts')
        const told = await replay(operator, file, dryRun)
        tell(operator, told, ({ letters, events, unreadable }) => [
          `Letters: ${letters}, unreadable: ${unreadable}. Events that ${dryRun ? 'would be' : 'were'} given to the upload function again: ${events}.`,
        ])
        return told.unreadable > 0 ? 1 : 0
      })
    })
}
