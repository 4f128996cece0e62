// npm runs this after `npm ci`, also with --omit=dev, where there is nothing to build with.
import { spawnSync } from 'node:child_process'

let hasBuilder = true
try {
  import.meta.resolve('esbuild')
} catch {
  hasBuilder = false
}
if (hasBuilder) process.exitCode = spawnSync('npm run build:all', { stdio: 'inherit', shell: true }).status ?? 1
else {
  console.log('Nothing is built, for esbuild is not installed (--omit=dev): dist/ and build/ stay as they are.')
  // A package without them would be of no use.
  if (/^(pack|publish)$/.test(process.env.npm_command ?? '')) process.exitCode = 1
}
