import { readdirSync, statSync } from 'node:fs'

/** Most tests run dist/: without this, a change in lib that was not built would be tested by its old code. */
export default function setup(): void {
  const sources = ['lib', 'functions'].flatMap((room) =>
    readdirSync(room, { recursive: true, encoding: 'utf8' }).map((name) => `${room}/${name}`),
  )
  const built = Math.min(...['dist/upload.js', 'dist/image.js'].map((file) => changed(file) ?? 0))
  const newer = [...sources, 'build.mjs'].find((file) => (changed(file) ?? 0) > built)
  if (newer) throw new Error(`dist/ is missing, or older than ${newer}: npm run build`)
}

/** When a file was last changed; undefined if there is none. */
function changed(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs
}
