import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Most systems with Linux have it: a folder in memory. A file system on a disk takes a tenth of all the tests' time. */
const MEMORY = '/dev/shm'
/** Bytes; the tests write 42 MB at most. */
const ENOUGH = 500e6

/** Makes one folder for everything that tests write. It is removed in the end, even if tests fail. */
export default function setup(): () => void {
  const dir = mkdtempSync(join(hasRoom(MEMORY) ? MEMORY : tmpdir(), 'matting-'))
  process.env.TMPDIR = dir
  return () => rmSync(dir, { recursive: true, force: true })
}

function hasRoom(dir: string): boolean {
  try {
    accessSync(dir, constants.W_OK)
    const { bavail, bsize } = statfsSync(dir)
    return bavail * bsize > ENOUGH
  } catch {
    return false
  }
}
