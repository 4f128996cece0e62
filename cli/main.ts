import { CommanderError } from '@commander-js/extra-typings'
import type { Environment } from '../lib/config.ts'
import { MattingError } from '../lib/errors.ts'
import { createProgram, type Run } from './command.ts'
import { addDeployment } from './deployment.ts'
import { addQuestions } from './questions.ts'
import { safe } from './safe.ts'
import { addWork } from './work.ts'

/** Runs a command line; what goes wrong is told in one line. @returns the exit code */
export async function main(args: readonly string[], shell: Environment): Promise<number> {
  let code = 0
  /** Runs a command with what its options say. What it needs is loaded only now, so that help comes at once. */
  const run: Run = async ({ yes, ...place }, work) => {
    const { openOperator, openTerminal } = await import('./operator.ts')
    const operator = await openOperator(place, shell, openTerminal({ json: place.json, yes }))
    code = (await work(operator)) ?? 0
  }
  try {
    const program = createProgram()
    addDeployment(program, run)
    addQuestions(program, run)
    addWork(program, run)
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    // Commander has said it.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    // Ctrl-C, or Ctrl-D, at a question; what asks has done nothing yet.
    if (Object(error).code === 'ABORT_ERR') {
      console.error('\nNothing was done.')
      return 130
    }
    const [, missing] = /^Cannot find package '([^']+)'/.exec(String(Object(error).message)) ?? []
    // A peer of the package, which not everybody needs.
    if (missing) console.error(`The command needs ${missing}: npm install ${missing}`)
    else if (!(error instanceof MattingError)) console.error(error)
    // All mistakes in the variables, one a line; other messages may hold a key with a line break in it.
    else
      for (const line of error.code === 'misconfigured' ? error.message.split('\n') : [error.message])
        console.error(safe(line))
    return error instanceof MattingError && error.code === 'bad-request' ? 2 : 1
  }
}
