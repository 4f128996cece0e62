import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Model, OUTPUTS, PRESETS, type Triple } from './matte/model.ts'

/** The options of `npm start` about a network, as `parseArgs` takes them. */
export const MODEL_OPTIONS = {
  model: { type: 'string' },
  'model-preset': { type: 'string' },
  'model-size': { type: 'string' },
  'model-mean': { type: 'string' },
  'model-std': { type: 'string' },
  'model-output': { type: 'string' },
} as const
type Name = keyof typeof MODEL_OPTIONS

const names: readonly Name[] = ['model-preset', 'model-size', 'model-mean', 'model-std', 'model-output']

type Values = { [name in Name]?: string | undefined }

/** The least a value may vary by: less would be a slip, and make numbers beyond float32 of a pixel. */
const LEAST_STD = 0.001
/** Of the long side; the memory of a network grows with its square. */
const MOST = 4096

/**
 * Reads which network is to cut; undefined if none is.
 * @throws Error with all mistakes, each in one line
 */
export function readModel(values: Values): Model | undefined {
  const mistakes: string[] = []
  const { model: file } = values
  if (file === undefined) {
    const given = names.filter((name) => values[name] !== undefined)
    if (given.length === 0) return undefined
    throw new Error(given.map((name) => `--${name}: needs --model FILE.onnx`).join('\n'))
  }
  const model: Model = { file: resolve(file) }
  if (!existsSync(model.file)) mistakes.push(`--model: there is no file ${model.file}`)
  /** Sets what an option says. */
  function take<T>(name: Name, expected: string, read: (text: string) => T | undefined, set: (value: T) => void) {
    const text = values[name]
    if (text === undefined) return
    const value = read(text)
    if (value === undefined) mistakes.push(`--${name}: expected ${expected}, not ${text}`)
    else set(value)
  }
  const presets = Object.keys(PRESETS).filter((name): name is keyof typeof PRESETS => name in PRESETS)
  take('model-preset', presets.join(' or '), among(presets), (preset) => Object.assign(model, { preset }))
  take('model-size', `WIDTHxHEIGHT, 16x16 to ${MOST}x${MOST}`, sizeIn, (size) => Object.assign(model, { size }))
  take('model-mean', 'RED,GREEN,BLUE, each 0 to 1', triple(0, 1), (mean) => Object.assign(model, { mean }))
  take('model-std', 'RED,GREEN,BLUE, each more than 0', triple(LEAST_STD, 1000), (std) => Object.assign(model, { std }))
  take('model-output', OUTPUTS.join(' or '), among(OUTPUTS), (output) => Object.assign(model, { output }))
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'))
  return model
}

function among<T extends string>(choices: readonly T[]): (text: string) => T | undefined {
  return (text) => choices.find((choice) => choice === text)
}

/** `320x320`, or `320` for a square. */
function sizeIn(text: string): { width: number; height: number } | undefined {
  const [, width = '', height = width] = /^(\d{2,4})(?:x(\d{2,4}))?$/.exec(text) ?? []
  const size = { width: Number(width), height: Number(height) }
  return Math.min(size.width, size.height) >= 16 && Math.max(size.width, size.height) <= MOST ? size : undefined
}

/** `0.485,0.456,0.406`, or `0.5` for all three. */
function triple(least: number, most: number): (text: string) => Triple | undefined {
  return (text) => {
    const values = text.split(',').map((part) => (/^\d*\.?\d+$/.test(part) ? Number(part) : Number.NaN))
    const [red = Number.NaN, green = red, blue = red] = values
    const isWhole = values.length === 1 || values.length === 3
    return isWhole && values.every((value) => value >= least && value <= most) ? [red, green, blue] : undefined
  }
}
