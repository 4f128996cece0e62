import { vi } from 'vitest'
import { main } from '../../cli/main.ts'
import { onPorts, startTestCloud, type TestCloud } from './cloud.ts'

/** A local cloud, and the command on it. */
export interface Commanded {
  cloud: TestCloud
  port: number
  /** Runs the command, as the shell would without a terminal. Words are separate arguments. */
  command(...words: string[]): Promise<{ code: number; printed: string[] }>
}

export async function startCommanded(environment: Record<string, string> = {}): Promise<Commanded> {
  const { cloud, port } = await onPorts(async (port) => ({ port, cloud: await startTestCloud({ port, environment }) }))
  return {
    cloud,
    port,
    async command(...words) {
      const printed: string[] = []
      const spies = (['log', 'error'] as const).map((method) =>
        vi.spyOn(console, method).mockImplementation((line) => void printed.push(String(line))),
      )
      const code = await main([...words, '--local', '--port', String(port)], {})
      for (const spy of spies) spy.mockRestore()
      return { code, printed }
    },
  }
}
