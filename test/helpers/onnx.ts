import { existsSync } from 'node:fs'
import { INSTALL } from '../../local/matte/runtime.ts'

/** Whether networks can be run here. */
export const hasRuntime = ['onnxruntime-web', 'onnxruntime-node'].some((name) => existsSync(`node_modules/${name}`))
if (!hasRuntime) console.warn(`SKIPPED: what networks cut out, for ONNX Runtime is not here: ${INSTALL}`)

/** A field of a protobuf message: a number (varint), a float, bytes or text, or a message. Repeated ones stand several times. */
type Field = [number: number, value: number | Uint8Array | string | Field[]]

/** Writes a message (protobuf.dev/programming-guides/encoding). */
function message(fields: Field[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)])
      const bytes = Array.isArray(value) ? message(value) : Buffer.from(value)
      return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
    }),
  )
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : (rest % 128) + 128)
    if (rest < 128) return Buffer.from(bytes)
  }
}

type Shape = readonly (number | string)[]
const TYPES = { float32: 1, float16: 10 }

/** The fields of onnx.proto3 that are needed here. */
const node = (operation: string, inputs: string[], output: string, attributes: Field[][] = []): Field => [
  1,
  [
    ...inputs.map((name): Field => [1, name]),
    [2, output],
    [4, operation],
    ...attributes.map((fields): Field => [5, fields]),
  ],
]
/** A number, and a list of numbers, as attributes. */
const whole = (name: string, value: number): Field[] => [
  [1, name],
  [3, value],
  [20, 2],
]
const wholes = (name: string, values: number[]): Field[] => [
  [1, name],
  ...values.map((value): Field => [8, value]),
  [20, 7],
]
const weights = (name: string, dims: number[], values: number[]): Field => [
  5,
  [...dims.map((dim): Field => [1, dim]), [2, 1], [8, name], [9, new Uint8Array(Float32Array.from(values).buffer)]],
]
const form = (name: string, shape: Shape, type: keyof typeof TYPES = 'float32'): Field[] => {
  const dims = shape.map((dim): Field => [1, [typeof dim === 'number' ? [1, dim] : [2, dim]]])
  return [
    [1, name],
    [
      2,
      [
        [
          1,
          [
            [1, TYPES[type]],
            [2, dims],
          ],
        ],
      ],
    ],
  ]
}

export interface Wanted {
  /** Of the input; default [1,3,64,64]. It is used as it is only if it has four sides and three planes. */
  shape?: Shape
  type?: keyof typeof TYPES
  inputs?: number
  outputs?: number
  /** How many planes the output has; and whether it has lost its form, as the answer of what tells dogs from cats. */
  planes?: number
  flat?: boolean
  /** What follows the sigmoid, which may be left out: the value times this. */
  factor?: number
  sigmoid?: boolean
  /** What it takes for white, plane by plane: that is 1, 1, 1 after a mean of 0.5 and a standard deviation of 0.5. */
  white?: readonly number[]
  /** How much each plane counts; default one third. */
  share?: readonly number[]
}

/**
 * A network in ONNX: what is far from white is the product. Each pixel's distance from white, over the planes, goes
 * through a sigmoid: one half at 0.42.
 */
export function network(wanted: Wanted = {}): Buffer {
  const { shape = [1, 3, 64, 64], type = 'float32', inputs = 1, outputs = 1, planes = 1 } = wanted
  const { factor = 1, sigmoid = true, white = [1, 1, 1], share = [1 / 3, 1 / 3, 1 / 3], flat = false } = wanted
  const [count = 1, , height = 1, width = 1] = shape
  const names = (name: string, count: number) => Array.from({ length: count }, (_, i) => (i === 0 ? name : name + i))
  const graph: Field[] = [
    node('Cast', ['picture'], 'given', [whole('to', TYPES.float32)]),
    node('Conv', ['given', 'minus', 'white'], 'below'),
    node('Relu', ['below'], 'distance'),
    node('Mul', ['distance', 'share'], 'shared'),
    node('ReduceMean', ['shared'], 'mean', [wholes('axes', [1]), whole('keepdims', 1)]),
    node('Conv', ['mean', 'steep', 'half'], 'steeper'),
    sigmoid ? node('Sigmoid', ['steeper'], 'likely') : node('Identity', ['steeper'], 'likely'),
    flat ? node('Flatten', ['likely'], 'formed') : node('Identity', ['likely'], 'formed'),
    ...names('mask', outputs).map((name) => node('Mul', ['formed', 'factor'], name)),
    [2, 'network'],
    weights('minus', [3, 3, 1, 1], [-1, 0, 0, 0, -1, 0, 0, 0, -1]),
    weights('white', [3], [...white]),
    weights('share', [3, 1, 1], [...share]),
    weights('steep', [planes, 1, 1, 1], Array(planes).fill(36)),
    weights('half', [planes], Array(planes).fill(-5)),
    weights('factor', [1], [factor]),
    ...names('picture', inputs).map((name): Field => [11, form(name, shape, type)]),
    ...names('mask', outputs).map(
      (name): Field => [12, form(name, flat ? [count, 'n'] : [count, planes, height, width])],
    ),
  ]
  return message([
    [1, 8],
    [7, graph],
    [
      8,
      [
        [1, ''],
        [2, 13],
      ],
    ],
  ])
}
