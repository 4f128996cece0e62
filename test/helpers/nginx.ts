import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { presign, signingKey } from '../../lib/sign.ts'
import { CREDENTIALS } from '../../local/cloud.ts'

/** The program; undefined where there is none. */
export const nginx = ['nginx', '/usr/sbin/nginx'].find((program) => !spawnSync(program, ['-v']).error)
if (!nginx) console.warn('SKIPPED: docs/recipes/nginx*.conf, for there is no nginx here')

/** Runs a recipe for the rest of the test, with these words of it filled in. Returns its origin. */
export async function startNginx(recipe: string, filled: Record<string, string>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'nginx-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const [port, inside] = [await freePort(), await freePort()]
  const all = {
    4519: String(inside),
    LISTEN: `127.0.0.1:${port}`,
    CACHE: `${dir}/cache`,
    RESOLVER: '127.0.0.1',
    ...filled,
  }
  const text = await readFile(new URL(`../../docs/recipes/${recipe}`, import.meta.url), 'utf8')
  const ready = Object.entries(all).reduce((text, [name, value]) => text.replaceAll(name, value), text)
  await writeFile(join(dir, 'recipe.conf'), ready)
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  )
  const main = `daemon off; master_process off; error_log stderr crit; pid ${dir}/pid; events { worker_connections 4096; } http { access_log off; ${folders.join(' ')} include ${dir}/recipe.conf; }`
  await writeFile(join(dir, 'nginx.conf'), main)
  const child = spawn(nginx ?? '', ['-p', dir, '-c', 'nginx.conf', '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  onTestFinished(async () => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
  })
  return `http://127.0.0.1:${port}`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** A CDN's origin authentication: signs what it is asked for with a key that may only read. Notes the queries that came. */
export async function startOrigin(cosUrl: () => string): Promise<{ origin: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    const [path = '', search = ''] = (request.url ?? '').split('?')
    asked.push(search)
    const seconds = Math.floor(Date.now() / 1000)
    const query = search === '' ? {} : { query: { [decodeURIComponent(search)]: '' } }
    const signable = { method: 'GET', pathname: decodeURIComponent(path), headers: { host: new URL(cosUrl()).host } }
    const url = presign(cosUrl(), { ...signable, ...query }, signingKey(CREDENTIALS, seconds - 60, seconds + 60))
    const answer = await fetch(url)
    const type = answer.headers.get('content-type') ?? ''
    response
      .writeHead(answer.status, { 'content-type': type, 'access-control-allow-origin': '*' })
      .end(Buffer.from(await answer.arrayBuffer()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}
