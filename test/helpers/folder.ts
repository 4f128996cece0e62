import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One folder for all that tests write, gone in the end, whatever became of them. */
export default function setup(): () => void {
  const dir = mkdtempSync(join(tmpdir(), 'matting-'))
  process.env.TMPDIR = dir
  return () => rmSync(dir, { recursive: true, force: true })
}
