import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Makes one folder for everything that tests write. It is removed in the end, even if tests fail. */
export default function setup(): () => void {
  const dir = mkdtempSync(join(tmpdir(), 'matting-'))
  process.env.TMPDIR = dir
  return () => rmSync(dir, { recursive: true, force: true })
}
