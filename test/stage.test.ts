import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { localVariables } from '../cli/operator.ts'
import { createMask, readStage, readVariables } from '../cli/stage.ts'
import { variableNames } from '../lib/environment.ts'

const ROOT = new URL('../', import.meta.url)
const place = { COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }

/** A clone with these files beside serverless.yml. */
async function clone(files: Record<string, string>): Promise<URL> {
  const dir = await mkdtemp(join(tmpdir(), 'stage-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  await cp(new URL('serverless.yml', ROOT), join(dir, 'serverless.yml'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  return pathToFileURL(`${dir}/`)
}

describe('a stage', () => {
  it('has what serverless.yml says; what is not set is left out, and never becomes the text undefined', async () => {
    const stage = await readStage(ROOT, undefined, place)
    expect(stage).toMatchObject({
      stage: 'dev',
      region: 'ap-guangzhou',
      runtime: 'Nodejs20.19',
      role: 'goods_matting_dev',
      logs: { logsetName: 'cos-goods-matting', topicName: 'matting-dev' },
      url: { function: 'matting-image-dev', name: 'url', auth: 'NONE' },
    })
    expect(stage.rules).toEqual([
      {
        function: 'matting-upload-dev',
        bucket: 'photos-1250000000.cos.ap-guangzhou.myqcloud.com',
        event: 'cos:ObjectCreated:*',
        prefix: 'uploads/',
        suffix: '',
      },
    ])
    const environment = { ...place, SOURCE_PREFIXES: 'uploads/' }
    expect(stage.functions).toEqual([
      {
        name: 'matting-upload-dev',
        handler: 'upload.main_handler',
        timeout: 120,
        memory: 256,
        environment,
        retries: { num: 2, seconds: 21_600 },
      },
      { name: 'matting-image-dev', handler: 'image.main_handler', timeout: 30, memory: 256, environment },
    ])
    expect(JSON.stringify(stage)).not.toContain('undefined')
  })

  it('has a rule for each source folder, and those of deletions only with ON_DELETE=remove', async () => {
    const env = { ...place, SOURCE_PREFIXES: 'a/, b/', ON_DELETE: 'remove' }
    const { rules } = await readStage(ROOT, 'prod', env)
    expect(rules.map(({ function: name, event, prefix }) => [name, event, prefix])).toEqual([
      ['matting-upload-prod', 'cos:ObjectCreated:*', 'a/'],
      ['matting-upload-prod', 'cos:ObjectCreated:*', 'b/'],
      ['matting-upload-prod', 'cos:ObjectRemove:*', 'a/'],
      ['matting-upload-prod', 'cos:ObjectRemove:*', 'b/'],
    ])
  })

  it('passes on every variable that there is', async () => {
    const text = await readFile(new URL('serverless.yml', ROOT), 'utf8')
    const keys = Array.from(text.matchAll(/\{ key: (\w+),/g), ([, name]) => name)
    expect(new Set(keys)).toEqual(variableNames())
  })

  it('binds a queue and a log topic where they are named', async () => {
    const env = { ...place, DEAD_LETTER_QUEUE: 'dead', LOGSET_ID: 'l', TOPIC_ID: 't' }
    const { functions, logs } = await readStage(ROOT, undefined, env)
    expect(functions[0]?.deadLetter).toEqual({ Type: 'CMQ-QUEUE', Name: 'dead' })
    expect(logs).toEqual({ logset: 'l', topic: 't' })
  })

  it('is refused before anything is sent if a variable is missing or wrong, all of them at once', async () => {
    await expect(readStage(ROOT, undefined, {})).rejects.toThrow('COS_BUCKET')
    await expect(readStage(ROOT, undefined, { ...place, ACCESS: 'opne', REDIRECT_TTL: 'x' })).rejects.toThrow(
      /ACCESS.*\n.*REDIRECT_TTL/s,
    )
    await expect(readStage(ROOT, '../x', place)).rejects.toThrow('stage')
  })
})

describe('the variables of a stage', () => {
  it('come from the shell, then .env.<stage>, then .env', async () => {
    const root = await clone({ '.env': 'COS_BUCKET=a-1\nACCESS=open\nON_DELETE=keep', '.env.prod': 'ACCESS=signed\n' })
    expect(await readVariables(root, 'prod', { ON_DELETE: 'remove' })).toMatchObject({
      COS_BUCKET: 'a-1',
      ACCESS: 'signed',
      ON_DELETE: 'remove',
    })
  })

  it('a misspelt one in a file is refused: left out in silence, it would leave everything open', async () => {
    const root = await clone({ '.env.dev': 'ACESS=signed\nTENCENTCLOUD_SECRET_ID=x' })
    await expect(readVariables(root, 'dev', {})).rejects.toThrow(/^\.env\.dev: there is no variable ACESS\nThere are /)
  })

  it('may have the price of a call beside them, which no function is given', async () => {
    const root = await clone({ '.env.dev': 'COS_BUCKET=a-1\nCOS_REGION=ap-guangzhou\nMATTING_PRICE="0.01 CNY"' })
    const variables = await readVariables(root, 'dev', {})
    expect(variables).toHaveProperty('MATTING_PRICE', '0.01 CNY')
    const { functions } = await readStage(ROOT, 'dev', variables)
    for (const { environment } of functions) expect(environment).not.toHaveProperty('MATTING_PRICE')
  })

  it('in a file that cannot be read are no reason to go on without them', async () => {
    const root = await clone({ '.env': 'COS_BUCKET=a-1' })
    await mkdir(new URL('.env.dev', root))
    await expect(readVariables(root, 'dev', {})).rejects.toThrow('.env.dev cannot be read: EISDIR')
  })

  it('without a bucket: it is said which file is to name it', async () => {
    await expect(readVariables(await clone({ '.env.dev': 'COS_BUCKET=a-1' }), 'prod', {})).rejects.toThrow(
      'copy .env.example to .env.prod',
    )
  })

  it('may begin with a byte order mark', async () => {
    const root = await clone({ '.env.dev': '\uFEFFCOS_BUCKET=a-1\r\nCOS_REGION=ap-guangzhou\r\n' })
    expect(await readVariables(root, undefined, {})).toEqual({ COS_BUCKET: 'a-1', COS_REGION: 'ap-guangzhou' })
  })

  it('of the local cloud are neither the shell’s nor those of .env', () => {
    expect(localVariables(4510, ['ACCESS=presets'])).toEqual({
      ACCESS: 'presets',
      PRESETS: 'card: center-layout 1, padding-layout 20x10',
      DELIVERY_KEY: 'local-delivery:local-secret',
      COS_BUCKET: 'photos-1250000000',
      COS_REGION: 'ap-guangzhou',
      COS_ENDPOINT: 'http://127.0.0.1:4510',
    })
    expect(() => localVariables(4510, ['ACESS=open'])).toThrow('--set')
  })

  it('of the local cloud may name a queue of dead letters, as doctor advises', async () => {
    const stage = await readStage(ROOT, undefined, localVariables(4510, ['DEAD_LETTER_QUEUE=dead']))
    expect(stage.functions[0]?.deadLetter?.Name).toBe('dead')
    expect(stage.functions[0]?.environment).not.toHaveProperty('DEAD_LETTER_QUEUE')
  })
})

it('secrets are masked, whole and in part, the longest first', () => {
  const mask = createMask({
    URL_KEYS: 'shop:0123456789abcdef, new:fedcba9876543210',
    EVENTS_URL: 'https://shop.example/hook?token=0123456789abcdefgh',
    ACCESS: 'signed',
  })
  expect(mask('URL_KEYS=shop:0123456789abcdef, new:fedcba9876543210 ACCESS=signed')).toBe('URL_KEYS=*** ACCESS=signed')
  expect(mask('refused: fedcba9876543210')).toBe('refused: ***')
  expect(mask('to https://shop.example/hook?token=0123456789abcdefgh')).toBe('to ***')
})

it('a secret with quotes and backslashes is masked in requests, too', () => {
  const value = 'shop:0123456789"ab\\cdef'
  expect(createMask({ URL_KEYS: value })(JSON.stringify({ Value: value, part: value.slice(5) }))).toBe(
    '{"Value":"***","part":"***"}',
  )
})
