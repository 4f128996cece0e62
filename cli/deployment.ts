import { existsSync } from 'node:fs'
import { Argument } from '@commander-js/extra-typings'
import { several } from './arguments.ts'
import type { Program, Run } from './command.ts'

/** The commands for whoever deploys: their arguments and options. */
export function addDeployment(program: Program, run: Run): void {
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
        const { mayDelete } = await import('./operator.ts')
        if (!dryRun && !(await mayDelete(terminal, `Undeploy ${stage.stage} of ${stage.config.bucket}?`, 'undeploy')))
          return 0
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
}

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
