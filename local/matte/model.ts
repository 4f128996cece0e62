import { basename } from 'node:path'
import type { Size } from './plane.ts'

/** For red, green and blue, of values from 0 to 1. */
export type Triple = readonly [red: number, green: number, blue: number]

/**
 * What a network's values mean: a probability as it is, one before the sigmoid, or one whose least and largest value of each
 * picture are to be stretched to 0 and 1.
 */
export const OUTPUTS = ['probability', 'sigmoid', 'min-max'] as const
export type Output = (typeof OUTPUTS)[number]

/** What a network expects and answers. */
export interface Settings {
  /** Of the picture that it is given. */
  size: Size
  /** It is given (value - mean) / std. */
  mean: Triple
  std: Triple
  output: Output
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const

/** As the authors of each network prepare their pictures, and read the answers. */
export const PRESETS = {
  // github.com/xuebinqin/DIS, Inference.py
  isnet: { size: square(1024), mean: [0.5, 0.5, 0.5], std: [1, 1, 1], output: 'min-max' },
  // github.com/xuebinqin/U-2-Net, u2net_test.py
  u2net: { size: square(320), ...IMAGENET, output: 'min-max' },
  // github.com/ZhengPeng7/BiRefNet, README
  birefnet: { size: square(1024), ...IMAGENET, output: 'sigmoid' },
} as const satisfies Record<string, Settings>
export type ModelPreset = keyof typeof PRESETS

/** A network of somebody's, in an ONNX file, and what is said about it; the rest is as in the preset. */
export interface Model extends Partial<Settings> {
  file: string
  preset?: ModelPreset
}

/** The form of an input or output: a dimension that is not fixed has a name, or none. */
export interface Form {
  name: string
  type: string
  shape: readonly (number | string)[]
}

/**
 * What the network expects, by what is said about it and by its own file.
 * @throws Error in one line
 */
export function settle(model: Model, inputs: readonly Form[], outputs: readonly Form[]): Settings {
  const name = basename(model.file)
  const [input] = inputs
  if (!input || inputs.length > 1)
    throw new Error(`${name} has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(', ')}), expected one`)
  const [count = 0, channels, height, width] = input.shape
  const fits = input.shape.length === 4 && channels === 3 && (count === 1 || !isFixed(count))
  if (input.type !== 'float32' || !fits)
    throw new Error(`${name}: the input ${print(input)} is not understood, expected float32 [1,3,height,width]`)
  // Seven outputs at this size have only U²-Net and its small relative. At 1024 networks differ in what they expect.
  const guessed = width === 320 && height === 320 && outputs.length === 7 ? 'u2net' : undefined
  const known = model.preset ?? guessed
  const preset: Partial<Settings> = known ? PRESETS[known] : {}
  const { mean = preset.mean, std = preset.std, output = preset.output, size: asked } = model
  if (!mean || !std || !output) {
    const missing = Object.entries({ mean, std, output }).flatMap(([name, value]) => (value ? [] : [`--model-${name}`]))
    throw new Error(
      `${name} does not say what it expects: --model-preset ${Object.keys(PRESETS).join('|')}, or ${missing.join(', ')}`,
    )
  }
  const wanted = asked ?? preset.size
  const size = { width: isFixed(width) ? width : wanted?.width, height: isFixed(height) ? height : wanted?.height }
  if (size.width === undefined || size.height === undefined)
    throw new Error(`${name} takes pictures of any size: say with --model-size which it is to be given`)
  if (asked && (asked.width !== size.width || asked.height !== size.height))
    throw new Error(`--model-size: ${name} takes pictures of ${size.width}x${size.height} only`)
  return { size: { width: size.width, height: size.height }, mean, std, output }
}

/** `float32 [1,3,height,320]` */
export function print({ type, shape }: Pick<Form, 'type' | 'shape'>): string {
  return `${type} [${shape.map((side) => (isFixed(side) || (typeof side === 'string' && side) ? side : '?')).join(',')}]`
}

function isFixed(side: number | string | undefined): side is number {
  return typeof side === 'number' && side > 0
}

function square(side: number): Size {
  return { width: side, height: side }
}
