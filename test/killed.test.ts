import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { createCos } from '../lib/cos.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import { lapse, photo, startTestCloud } from './helpers/cloud.ts'

it('promises 1 and 3: kill -9 in the middle of a hundred uploads loses nothing and pays nothing twice', async () => {
  const data = await mkdtemp(join(tmpdir(), 'killed-'))
  onTestFinished(() => rm(data, { recursive: true, force: true }))
  const victim = spawn(process.execPath, ['--import', 'tsx', 'test/once/victim.ts', data], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void victim.kill('SIGKILL'))
  const ended = once(victim, 'exit')
  const endpoint = await new Promise<string>((resolve) =>
    victim.stdout.once('data', (line) => resolve(JSON.parse(String(line)).cosUrl)),
  )
  const deadline = Date.now() + 120_000
  const client = createCos({ endpoint, credentials: CREDENTIALS, deadline, now: Date.now, random: Math.random })
  const accepted: string[] = []
  const uploads = Array.from({ length: 100 }, async (_, i) => {
    const key = `uploads/${i}.jpg`
    await client.put(key, await photo(`hsl(${i * 3} 70% 40%)`), { type: 'image/jpeg' })
    accepted.push(key)
    // At this moment some photos are cut out, some wait and some are on their way.
    if (accepted.length === 60) victim.kill('SIGKILL')
  })
  await Promise.allSettled([...uploads, ended])
  expect(accepted.length).toBeGreaterThanOrEqual(60)

  const cloud = await startTestCloud({ data })
  onTestFinished(() => cloud.close())
  // The claims of the killed process have ended.
  lapse(cloud)
  await cloud.scf.idle()
  const cutouts = await cloud.keys('cutouts/')
  for (const key of accepted) expect(cutouts.filter((cutout) => cutout.startsWith(`cutouts/${key}/`))).toHaveLength(1)
  const paid = cloud.cos.bill().map(({ fileid }) => fileid)
  expect(new Set(paid).size).toBe(paid.length)
  expect(cloud.scf.deadLetters()).toEqual([])
})
