// Node runs no TypeScript in a worker by itself, and `--import tsx` takes effect in the main thread only.
import { register } from 'tsx/esm/api'

register()
await import('./worker.ts')
