import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { compile } from '../compile.mjs'
import { createCos } from '../lib/cos.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import { lapse, photo, startTestCloud } from './helpers/cloud.ts'

it('promises 1 and 3: kill -9 in the middle of sixty uploads loses nothing and pays nothing twice', async () => {
  const data = await mkdtemp(join(tmpdir(), 'killed-'))
  onTestFinished(() => rm(data, { recursive: true, force: true }))
  await compile()
  const args = ['--port', '0', '--data', data, '--no-sample', '--quiet', '--set', 'CLAIM_TIME=6']
  const victim = spawn(process.execPath, ['build/start.mjs', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void victim.kill('SIGKILL'))
  const ended = once(victim, 'exit')
  const endpoint = await new Promise<string>((resolve) =>
    createInterface(victim.stdout).on('line', (line) => {
      const [, url] = /^COS +(http:\S+)$/.exec(line) ?? []
      if (url) resolve(url)
    }),
  )
  const deadline = Date.now() + 120_000
  const client = createCos({ endpoint, credentials: CREDENTIALS, deadline, now: Date.now, random: Math.random })
  const accepted: string[] = []
  const uploads = Array.from({ length: 60 }, async (_, i) => {
    const key = `uploads/${i}.jpg`
    await client.put(key, await photo(`hsl(${i * 6} 70% 40%)`), { type: 'image/jpeg' })
    accepted.push(key)
    // At this moment some photos are cut out, some wait and some are on their way.
    if (accepted.length === 36) victim.kill('SIGKILL')
  })
  await Promise.allSettled([...uploads, ended])
  expect(accepted.length).toBeGreaterThanOrEqual(36)

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
