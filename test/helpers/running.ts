import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { main } from '../../cli/main.ts'

/** What a command printed, and its exit code. */
export interface Ran {
  code: number
  out: string
  err: string
}

/** Runs a command in this process, on the local cloud of a COS port. */
export async function command(port: number, ...args: string[]): Promise<Ran> {
  const [out, err]: [string[], string[]] = [[], []]
  const spies = [
    vi.spyOn(console, 'log').mockImplementation((line) => void out.push(String(line))),
    vi.spyOn(console, 'error').mockImplementation((line) => void err.push(String(line))),
  ]
  try {
    const code = await main([...args, '--local', '--port', String(port)], {})
    return { code, out: out.join('\n'), err: err.join('\n') }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

/** The same with --json: the result, and the exit code. */
export async function json(port: number, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await command(port, ...args, '--json')
  return { ...JSON.parse(out || `{ "err": ${JSON.stringify(err)} }`), code }
}

/** Starts a command in a process of its own, to be interrupted or killed. */
export function start(port: number, ...args: string[]): ChildProcess {
  const file = fileURLToPath(new URL('../../cli/cos-goods-matting.mjs', import.meta.url))
  const all = [file, ...args, '--local', '--port', String(port)]
  return spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] })
}
