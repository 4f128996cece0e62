import { Command } from '@commander-js/extra-typings'
import { port } from './arguments.ts'
import type { Operator, Place } from './operator.ts'

/** How a command ended, as its exit code; none if all went well. */
type Ending = number | undefined

/** Runs a command with what its options say. */
export type Run = (
  options: Place & { yes?: boolean | undefined },
  work: (operator: Operator) => Promise<Ending>,
) => Promise<void>

/** The command line without its commands. */
export type Program = ReturnType<typeof createProgram>

const HELP = `
Exit codes: 0 all went well; 1 something failed, or is not as it should be; 2 the command line is wrong; 130 Ctrl-C.
docs/operate.md and docs/deploy.md tell more.`

/** The command line, to which the commands are still to be added. All that the help says comes from them. */
export function createProgram() {
  return new Command()
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
}

/** Prints a result: as JSON, or as lines for people. */
export function tell<T>({ terminal }: Operator, result: T, lines: (result: T) => Iterable<string>): void {
  if (terminal.json) console.log(JSON.stringify(result, null, 2))
  else for (const line of lines(result)) terminal.print(line)
}
