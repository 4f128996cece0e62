import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { INSTALL } from '../local/matte/runtime.ts'
import { readOptions } from '../local/options.ts'

describe('the options of a network', () => {
  const read = (...args: string[]) => readOptions(args)?.model

  it('are taken as they are', async () => {
    const path = import.meta.filename
    expect(read()).toBeUndefined()
    expect(read('--model', path, '--model-preset', 'isnet')).toEqual({ file: path, preset: 'isnet' })
    const all = [
      '--model-size',
      '320x240',
      '--model-mean',
      '0.5,.25,0',
      '--model-std',
      '0.5',
      '--model-output',
      'sigmoid',
    ]
    expect(read('--model', path, ...all)).toEqual({
      file: path,
      size: { width: 320, height: 240 },
      mean: [0.5, 0.25, 0],
      std: [0.5, 0.5, 0.5],
      output: 'sigmoid',
    })
    expect(read('--model', path, '--model-size', '64')).toEqual({ file: path, size: { width: 64, height: 64 } })
  })

  it('are told all at once if they are wrong, each in a line', () => {
    const odd = { preset: 'isnett', size: '320x', mean: '1,2', std: '0', output: 'logits' }
    const given = Object.entries(odd).flatMap(([name, value]) => [`--model-${name}`, value])
    const lines = [
      '--model: there is no file /none.onnx',
      '--model-preset: expected isnet or u2net or birefnet, not isnett',
      '--model-size: expected WIDTHxHEIGHT, 16x16 to 4096x4096, not 320x',
      '--model-mean: expected RED,GREEN,BLUE, each 0 to 1, not 1,2',
      '--model-std: expected RED,GREEN,BLUE, each more than 0, not 0',
      '--model-output: expected probability or sigmoid or min-max, not logits',
    ]
    expect(() => read('--model', '/none.onnx', ...given)).toThrow(new Error(lines.join('\n')))
    const alone = Object.keys(odd).map((name) => `--model-${name}: needs --model FILE.onnx`)
    expect(() => read(...given)).toThrow(new Error(alone.join('\n')))
  })

  it.each([
    ['--model-size', '15x15'],
    ['--model-size', '5000x64'],
    ['--model-mean', '0.5,0.5,x'],
    ['--model-mean', '1.5'],
    ['--model-mean', '0.5,0.5'],
    ['--model-std', '1e3'],
  ])('%s %s is refused', async (name, value) => {
    const path = import.meta.filename
    expect(() => read('--model', path, name, value)).toThrow(`${name}: expected`)
  })

  it('.ci/run installs what the error names', async () => {
    expect(await readFile('.ci/run', 'utf8')).toContain(INSTALL)
  })
})
