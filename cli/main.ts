import { Argument, Command, CommanderError, InvalidArgumentError } from '@commander-js/extra-typings'
import type { Environment } from '../lib/config.ts'
import { MattingError } from '../lib/errors.ts'
import { type Operator, openOperator, openTerminal, type Place, ROOT } from './operator.ts'

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
    const operator = await openOperator(place, shell, openTerminal({ json: place.json, yes }))
    code = (await work(operator)) ?? 0
  }
  try {
    await createProgram(run).parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    // Commander has said it.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (!(error instanceof MattingError)) console.error(error)
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
  if (isBuilt) await import(new URL('build.mjs', ROOT).href)
  const { readCode } = await import('./function.ts')
  return readCode(new URL('dist/', ROOT))
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
