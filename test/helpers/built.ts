import { readdirSync, statSync } from 'node:fs'

/** Most tests run dist/: without this, a change in lib that was not built would be tested by its old code. */
export default function setup(): void {
  const sources = ['lib', 'functions'].flatMap((room) =>
    readdirSync(room, { recursive: true, encoding: 'utf8' }).map((name) => `${room}/${name}`),
  )
  const built = Math.min(...['dist/upload.js', 'dist/image.js'].map((file) => changed(file) ?? 0))
  const newer = [...sources, 'build.mjs'].filter((file) => (changed(file) ?? 0) > built)
  if (newer.length > 0) throw new Error(`dist/ is older than ${newer.join(', ')}: npm run build`)
}

/** When a file was last changed; undefined if there is none. */
function changed(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs
}
