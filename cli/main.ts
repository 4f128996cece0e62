import { existsSync } from 'node:fs'
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import type { Environment } from '../lib/config.ts'
import { MattingError } from '../lib/errors.ts'
import type { Operator, Place } from './operator.ts'

/** How a command ended, as its exit code; none if all went well. */
type Ending = number | undefined

const HELP = `
Exit codes: 0 all went well; 1 something failed, or is not as it should be; 2 the command line is wrong; 130 Ctrl-C.
docs/operate.md and docs/deploy.md tell more.`

/** Runs a command line; what goes wrong is told in one line. @returns the exit code */
export async function main(args: readonly string[], shell: Environment): Promise<number> {
  let code = 0
  /** Runs a command with what its options say. What it needs is loaded only now, so that help comes at once. */
  const run = async (
    { yes, ...place }: Place & { yes?: boolean | undefined },
    work: (operator: Operator) => Promise<Ending>,
  ) => {
    const { openOperator, openTerminal } = await import('./operator.ts')
    const operator = await openOperator(place, shell, openTerminal({ json: place.json, yes }))
    code = (await work(operator)) ?? 0
  }
  try {
    await createProgram(run).parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    // Commander has said it.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const [, missing] = /^Cannot find package '([^']+)'/.exec(String(Object(error).message)) ?? []
    // A peer of the package, which not everybody needs.
    if (missing) console.error(`The command needs ${missing}: npm install ${missing}`)
    else if (!(error instanceof MattingError)) console.error(error)
    else console.error(error.message)
    return error instanceof MattingError && error.code === 'bad-request' ? 2 : 1
  }
}

type Run = (
  options: Place & { yes?: boolean | undefined },
  work: (operator: Operator) => Promise<Ending>,
) => Promise<void>

/** The commands, their arguments and options: all that the help says comes from here. */
function createProgram(run: Run) {
  const program = new Command()
    .name('cos-goods-matting')
    .description('Deploys and operates the functions that cut products out of their photos.')
    .option('--stage <name>', "another stage than serverless.yml's; its variables are in .env.<name>")
    .option('--local', 'the running local cloud, not an account')
    .option('--port <n>', 'with --local: its COS port (4510)', port)
    .option('--json', 'print the result as JSON')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', HELP)
    .configureOutput({
      writeOut: (text) => console.log(text.trimEnd()),
      writeErr: (text) => console.error(text.trimEnd()),
      outputError: (text, write) => write(`${text.trim().replaceAll('\n', ' ')} (--help tells more)`),
    })
    .exitOverride()

  program
    .command('deploy')
    .description('brings the account to what serverless.yml says')
    .option('--dry-run', 'only show the requests')
    .option('--diff', 'only say how account and file differ; exits with 1 if they do')
    .option('--no-build', 'deploy what is in dist/')
    .option('--no-smoke', 'put no sample photo through it')
    .option('--strict-signature', 'let COS refuse what a signature does not list (docs/deploy.md)')
    .option(...SET)
    .action(async (_, command) => {
      const { dryRun, diff, build, smoke, strictSignature: strict = false, ...place } = command.optsWithGlobals()
      await run(place, async ({ account, stage, terminal }) => {
        const { deploy } = await import('./deploy.ts')
        const only = dryRun ? 'requests' : diff ? 'differences' : undefined
        const options = { only, smoke, strict, print: terminal.print } as const
        const changes = await deploy(account, stage, await code(build), options)
        return diff && changes > 0 ? 1 : 0
      })
    })

  program
    .command('undeploy')
    .description('takes functions, triggers and role away; photos, cutouts and logs stay')
    .option('--dry-run', 'only show the requests')
    .option('--yes', 'do not ask')
    .option(...SET)
    .action(async (_, command) => {
      const { dryRun, ...options } = command.optsWithGlobals()
      await run(options, async ({ account, stage, terminal }) => {
        if (!dryRun && !(await terminal.confirm(`Undeploy ${stage.stage} of ${stage.config.bucket}?`)))
          throw new MattingError('bad-request', 'Nothing was done. Without a terminal, undeploy needs --yes.')
        const { undeploy } = await import('./deploy.ts')
        await undeploy(account, stage, { only: dryRun ? 'requests' : undefined, print: terminal.print })
        return 0
      })
    })

  program
    .command('doctor')
    .description('checks whether everything is as it should be')
    .option('--fix', 'mend what can be mended')
    .option('--no-build', 'compare with what is in dist/')
    .option(...SET)
    .action(async (_, command) => {
      const { fix = false, build, ...place } = command.optsWithGlobals()
      await run(place, async ({ account, stage, terminal: { json } }) => {
        const { doctor } = await import('./doctor.ts')
        return (await doctor(account, stage, await code(build), { fix, json, print: console.log })) ? 0 : 1
      })
    })

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
          `${letters} letters, ${unreadable} of them unreadable; ${events} events ${dryRun ? 'would be' : 'were'} given to the upload function again`,
        ])
        return told.unreadable > 0 ? 1 : 0
      })
    })

  program
    .command('policy')
    .description('prints the policy that somebody needs, as JSON')
    .addArgument(new Argument('<who>', 'for whom').choices(['role', 'deployer', 'operator', 'delivery', 'uploader']))
    .action(async (who, _, command) => {
      await run({ ...command.optsWithGlobals(), running: true, keyless: true }, async ({ config }) => {
        const { policy } = await import('./policy.ts')
        console.log(JSON.stringify(policy(who, config), null, 2))
        return 0
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

  return program
}

const CUTOUTS = [
  '--cutouts <days>',
  'how long ago their photos were replaced, or were first seen to be gone',
  whole(0),
  30,
] as const
const CLAIMS = ['--claims <days>', 'the age of claims', whole(1), 1] as const
const RECEIPTS = ['--receipts <days>', 'the age of receipts', whole(2), 400] as const
const SET = ['--set <name=value>', 'with --local: a variable of the functions; may be repeated', several] as const

/** What is in the clone, built now, so that nothing older is deployed. */
async function code(isBuilt: boolean) {
  const { ROOT } = await import('./operator.ts')
  const builder = new URL('build.mjs', ROOT)
  // The package comes built.
  if (isBuilt && existsSync(builder)) await import(builder.href)
  const { readCode } = await import('./function.ts')
  return readCode(new URL('dist/', ROOT))
}

/** Prints a result: as JSON, or as lines for people. */
function tell<T>({ terminal }: Operator, result: T, lines: (result: T) => Iterable<string>): void {
  if (terminal.json) console.log(JSON.stringify(result, null, 2))
  else for (const line of lines(result)) terminal.print(line)
}

/** @throws InvalidArgumentError */
function widths(text: string): number[] {
  const all = text.split(',').map(Number)
  if (all.every((width) => Number.isInteger(width) && width > 0 && width <= 10_000)) return all
  throw new InvalidArgumentError('Expected numbers such as 320,640.')
}

/** In seconds. @throws InvalidArgumentError */
function time(text: string): number {
  const [, number, unit = 's'] = /^(\d{1,6})([smhd])?$/.exec(text) ?? []
  if (!Number(number)) throw new InvalidArgumentError('Expected a time such as 15m, 12h or 30d.')
  return Number(number) * ({ s: 1, m: 60, h: 3_600, d: 86_400 }[unit] ?? 1)
}

/** @throws InvalidArgumentError */
function day(text: string): string {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text)) return text
  throw new InvalidArgumentError('Expected a day such as 2026-11-26.')
}

/** Reads a whole number. What it returns throws InvalidArgumentErrors. */
function whole(least: number) {
  return (text: string): number => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text)
    throw new InvalidArgumentError(`Expected a whole number from ${least} on.`)
  }
}

/** @throws InvalidArgumentError */
function port(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= 65_531) return value
  throw new InvalidArgumentError('Expected a number, 1 to 65531.')
}

function several(text: string, before: string[] = []): string[] {
  return [...before, text]
}
