import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Most systems with Linux have it: a folder in memory. With it the kernel takes a fifth less CPU time for all tests than with ext4. */
const MEMORY = '/dev/shm'
/** Bytes; 42 MB were the most that was seen there at a time. */
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
