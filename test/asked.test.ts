import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { photo } from './helpers/cloud.ts'
import { type Commanded, startCommanded } from './helpers/command.ts'

describe('somebody at a terminal who is asked', () => {
  let on: Commanded
  beforeAll(async () => {
    on = await startCommanded()
    await on.cloud.upload('uploads/mug.jpg', await photo())
  })
  afterAll(() => on.cloud.close())

  /** Runs a command at a terminal on which these keys are struck as soon as it asks. */
  async function strike(keys: string, ...words: string[]) {
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => input })
    const screen = Object.assign(new PassThrough(), { isTTY: true, columns: 80 })
    screen.on('data', (shown) => {
      if (String(shown).includes('[y/N]')) input.write(keys)
    })
    for (const spy of [
      vi.spyOn(process, 'stdin', 'get').mockReturnValue(Object(input)),
      vi.spyOn(process, 'stdout', 'get').mockReturnValue(Object(screen)),
    ])
      onTestFinished(() => spy.mockRestore())
    const { code, printed } = await on.command(...words)
    return [code, printed.at(-1)?.trim()]
  }

  const commands = [['undeploy'], ['purge', 'uploads/mug.jpg']]
  it.each(commands)(
    'attack: Ctrl-C and Ctrl-D at the question of %s: nothing is done, and no stack is shown',
    async (...words) => {
      const before = await on.cloud.keys('cutouts/')
      for (const keys of ['\x03', '\x04']) expect(await strike(keys, ...words)).toEqual([130, 'Nothing was done.'])
      expect(await on.cloud.keys('cutouts/')).toEqual(before)
    },
  )

  it.each(commands)('who says no to %s is not told that a terminal is missing', async (...words) => {
    const before = await on.cloud.keys('cutouts/')
    expect(await strike('n\n', ...words)).toEqual([0, 'Nothing was done.'])
    expect(await on.cloud.keys('cutouts/')).toEqual(before)
    expect(before).toHaveLength(1)
  })

  it('who says yes gets it done', async () => {
    expect(await strike('y\n', 'purge', 'uploads/mug.jpg')).toEqual([
      0,
      'Deleted 1 cutout with all that belongs to it.',
    ])
  })
})
