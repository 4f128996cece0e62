import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { compile } from '../compile.mjs'

const run = promisify(execFile)
const tsc = resolve('node_modules/typescript/bin/tsc')

/** A project beside this clone's modules, in which the package is installed. */
let project: string
let files: string[]
beforeAll(async () => {
  await Promise.all([compile(), run(process.execPath, [tsc, '-p', 'tsconfig.types.json'])])
  project = await mkdtemp(join(tmpdir(), 'package-'))
  const options = ['pack', '--json', '--ignore-scripts', '--offline', '--pack-destination', project]
  const { stdout } = await run('npm', options, { env: { ...process.env, npm_config_update_notifier: 'false' } })
  const [packed] = JSON.parse(stdout)
  files = packed.files.map(({ path }: { path: string }) => path)
  await mkdir(join(project, 'node_modules/cos-goods-matting'), { recursive: true })
  await run('tar', [
    '-xzf',
    join(project, packed.filename),
    '--strip-components=1',
    '-C',
    join(project, 'node_modules/cos-goods-matting'),
  ])
  // Only what an installation brings: what the clone has for itself must not be needed.
  const { dependencies, peerDependencies } = JSON.parse(await readFile('package.json', 'utf8'))
  for (const name of [...Object.keys(dependencies), ...Object.keys(peerDependencies), '@types/node']) {
    await mkdir(dirname(join(project, 'node_modules', name)), { recursive: true })
    await symlink(resolve('node_modules', name), join(project, 'node_modules', name))
  }
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
})
afterAll(() => rm(project, { recursive: true, force: true }))

async function runs(name: string, text: string): Promise<string> {
  await writeFile(join(project, name), text)
  return (await run(process.execPath, [name], { cwd: project })).stdout
}

describe('the package', () => {
  it('holds what runs, and neither sources nor tests', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'build/index.mjs',
        'build/types/index.d.ts',
        'dist/upload.js',
        'serverless.yml',
        'LICENSE',
        'README.md',
      ]),
    )
    expect(files.filter((file) => /^(lib|local|functions|test|node_modules)\/|(?<!\.d)\.ts$/.test(file))).toEqual([])
  })

  it('runs every block of docs/library.md', async () => {
    const blocks = [...(await readFile('docs/library.md', 'utf8')).matchAll(/```js\n(.*?)```/gs)].map(
      ([, code = '']) => code,
    )
    expect(blocks).toHaveLength(2)
    const [door = '', cloud = ''] = blocks
    const [url, img, signature, presigned] = (await runs('door.js', door)).split('\n')
    expect(url).toMatch(/^https:\/\/images\.example\.com\/plain\/uploads\/mug\.jpg\?exp=\d+&kid=shop&sig=/)
    expect(img).toMatch(/^<img .*card%2Cwidth%3D320.* alt="A mug"/)
    expect(signature).toMatch(/^[\da-f]{40}$/)
    expect(presigned).toContain('q-signature=')
    expect(await runs('own-cloud.js', cloud)).toMatch(/paid: 1 \}\n1\n$/)
  })

  it('serves the page of the local cloud without what bundles it', async () => {
    const text = `import { startCloud } from 'cos-goods-matting/cloud'
const cloud = await startCloud({ port: 0, data: 'of-the-page' })
for (const path of ['/', '/page.js', '/page.css', '/api/place']) {
  const answer = await fetch(cloud.controlUrl + path)
  console.log(answer.status, (await answer.text()).length > 300)
}
await cloud.close()`
    await rm(join(project, 'node_modules/esbuild'), { force: true })
    expect(await runs('page.js', text)).toBe('200 true\n'.repeat(4))
  })

  it('signs as the vendor’s vectors say', async () => {
    const all = JSON.parse(await readFile('test/fixtures/q-sign.json', 'utf8'))
    const { input, expected } = all.find(({ input }: { input: { secretKey?: string } }) => input.secretKey)
    const text = `import { sign, signingKey } from 'cos-goods-matting'
const input = ${JSON.stringify(input)}
console.log(sign(input, signingKey(input, ...input.keyTime.split(';').map(Number))).signature)`
    expect(await runs('vector.js', text)).toBe(`${expected.signature}\n`)
  })

  it('lets a browser upload by what presignUpload signed, to its own local cloud, and tells of failures by their code', async () => {
    const text = `
import { createHash, randomUUID } from 'node:crypto'
import sharp from 'sharp'
import { createInvocation, MattingError, plain, presignUpload, readConfig } from 'cos-goods-matting'
import { startCloud } from 'cos-goods-matting/cloud'
const cloud = await startCloud({ port: 0, data: 'presigned' })
const beside = await startCloud({ port: 0, data: 'presigned' }).catch(({ message }) => message.replace(/ folder .*cos /, ' folder '))
const config = readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou', COS_ENDPOINT: cloud.cosUrl })
const credentials = { secretId: 'local-id', secretKey: 'local-secret' }
const invocation = createInvocation(config, { credentials, now: Date.now, random: Math.random, uuid: randomUUID, deadline: Date.now() + 60_000 })
const svg = '<svg width="90" height="60"><rect width="90" height="60" fill="#eee"/><circle cx="40" cy="30" r="15" fill="#b03020"/></svg>'
const body = await sharp(Buffer.from(svg)).jpeg().toBuffer()
const md5 = createHash('md5').update(body).digest('hex')
const { url, headers } = await presignUpload(invocation, { key: 'uploads/a.jpg', md5, type: 'image/jpeg', size: body.length }, [plain], credentials)
const { status } = await fetch(url, { method: 'PUT', body, headers })
await cloud.scf.idle()
let code
try { readConfig({}) } catch (error) { code = error instanceof MattingError && error.code }
console.log(JSON.stringify({ status, paid: cloud.cos.bill().length, code, beside }))
await cloud.close()
`
    expect(JSON.parse(await runs('presigned.js', text))).toEqual({
      status: 200,
      paid: 1,
      code: 'misconfigured',
      beside: 'The folder is in use by another local cloud; choose another with --data DIR.',
    })
  })

  it('says in one line what a network needs, where that is not installed', async () => {
    for (const name of ['node', 'web']) await rm(join(project, `node_modules/onnxruntime-${name}`), { force: true })
    const text = `import { startCloud } from 'cos-goods-matting/cloud'
const model = { file: 'package.json', preset: 'u2net' }
await startCloud({ port: 0, data: 'network', model }).catch((error) => console.log(error.message))`
    expect(await runs('network.js', text)).toBe(
      'A network needs ONNX Runtime: npm install -D --no-save --ignore-scripts onnxruntime-web@1.30.0\n',
    )
  })

  it('has types for strict TypeScript', async () => {
    const text = `
import { type Code, type Config, createInvocation, type Credentials, imageSet, imageUrl, MattingError, plain, presign, presignUpload, type PresignedUpload, readConfig, sign, signHeaders, signingKey, upload } from 'cos-goods-matting'
import { type Cloud, startCloud } from 'cos-goods-matting/cloud'
const credentials: Credentials = { secretId: 'local-id', secretKey: 'local-secret' }
const config: Config = readConfig({ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' })
const invocation = createInvocation(config, { credentials, now: Date.now, random: Math.random, uuid: () => crypto.randomUUID(), deadline: 1 })
export const leave: Promise<PresignedUpload | undefined> = presignUpload(invocation, { key: 'uploads/a.jpg', md5: '0'.repeat(32), type: 'image/jpeg', size: 1 }, [plain], credentials)
export const cloud: Promise<Cloud> = startCloud({ port: 0, data: 'x' })
export const code: Code = new MattingError('denied').code
export const all = [imageSet, imageUrl, presign, sign, signHeaders, signingKey, upload]
// @ts-expect-error a layout is no text
export const wrong = upload(invocation, 'uploads/a.jpg', { body: Buffer.from(''), type: 'image/jpeg' }, ['plain'])
`
    await writeFile(join(project, 'strict.ts'), text)
    const strict = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
    }
    const compilerOptions = {
      ...strict,
      module: 'NodeNext',
      target: 'ES2023',
      lib: ['ES2023'],
      types: ['node'],
      noEmit: true,
    }
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['strict.ts'] }))
    const told = await run(process.execPath, [tsc], { cwd: project }).catch((error: unknown) => error)
    expect(Object(told).stdout).toBe('')
  })

  it('has the command, and says in one line what the local cloud lacks', async () => {
    const bin = join(project, 'node_modules/cos-goods-matting/cli/cos-goods-matting.mjs')
    const { stdout } = await run(process.execPath, [bin, 'policy', 'delivery'], {
      env: { PATH: '', COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' },
    })
    expect(JSON.parse(stdout).statement[0].action).toEqual(['name/cos:GetObject'])
    for (const name of ['sharp', 'yaml']) await rm(join(project, 'node_modules', name))
    const lacking = await run(process.execPath, [bin, 'policy', 'role']).catch((error: unknown) => error)
    expect(Object(lacking).stderr).toBe('The command needs yaml: npm install yaml\n')
    const text = `import { startCloud } from 'cos-goods-matting/cloud'\nawait startCloud({ port: 0, data: 'x' }).catch((error) => console.log(error.message))`
    expect(await runs('lacks.js', text)).toBe(
      'The local cloud needs sharp and yaml: npm install --save-dev sharp yaml\n',
    )
  })
})

describe('the command of a clone', () => {
  it('is never older than its sources: changed, changed while it compiles, or removed; also when two start at once', async () => {
    const clone = await mkdtemp(join(tmpdir(), 'clone-'))
    onTestFinished(() => rm(clone, { recursive: true }))
    const sources = [
      'cli',
      'lib',
      'local',
      'compile.mjs',
      'place.mjs',
      'page.mjs',
      'cloud.ts',
      'index.ts',
      'package.json',
      'package-lock.json',
    ]
    for (const name of sources) await cp(name, join(clone, name), { recursive: true })
    await symlink(resolve('node_modules'), join(clone, 'node_modules'))
    const changed = join(clone, 'cli/command.ts')
    const change = async (from: RegExp, to: string) =>
      writeFile(changed, (await readFile(changed, 'utf8')).replace(from, to))
    const help = async () => (await run(process.execPath, [join(clone, 'cli/cos-goods-matting.mjs'), '--help'])).stdout
    expect(await help()).toContain('Usage: cos-goods-matting')
    await change(/Exit codes:/, 'Exit codes are')
    for (const text of await Promise.all([help(), help()])) expect(text).toContain('Exit codes are')
    const { compile, isStale } = await import(pathToFileURL(join(clone, 'compile.mjs')).href)
    expect(isStale()).toBe(false)
    const compiling = compile()
    await change(/Exit codes are/, 'The codes:')
    await compiling
    expect(isStale()).toBe(true)
    expect(await help()).toContain('The codes:')
    await writeFile(join(clone, 'lib/more.ts'), '')
    await change(/The codes:/, 'All codes:')
    await compile()
    await rm(join(clone, 'lib/more.ts'))
    expect(isStale()).toBe(true)
    await writeFile(join(clone, 'build/of-an-older-build.mjs'), '')
    const link = `${clone}-link`
    await symlink(clone, link)
    onTestFinished(() => rm(link))
    await run(process.execPath, [join(link, 'compile.mjs')])
    // Something that runs may still load it.
    expect(await readdir(join(clone, 'build'))).toContain('of-an-older-build.mjs')
    await run(process.execPath, [join(link, 'compile.mjs'), '--clean'])
    expect(await readdir(join(clone, 'build'))).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/older|\.\d+$/)]),
    )
    expect(await help()).toContain('All codes:')
  })
})
