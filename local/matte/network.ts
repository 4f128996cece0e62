import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import sharp from 'sharp'
import type { Picture } from './layout.ts'
import type { Likelihood } from './likelihood.ts'
import { type Form, type Model, type Output, print, type Settings, settle } from './model.ts'
import { loadRuntime, type Metadata, type Runtime, type Session, type Tensor } from './runtime.ts'

/** A network that was loaded, and has seen a picture. */
export interface Network {
  /** Which it is, what it is given, what runs it, and how long it takes. */
  name: string
  /** How likely each pixel is one of the product, on the network's own grid. */
  see(picture: Picture): Promise<Likelihood>
}

/**
 * Loads a network, and shows it a picture, so that whatever is wrong with it comes to light before a photo is cut. `now` is in
 * milliseconds.
 * @throws Error in one line
 */
export async function openNetwork(model: Model, now: () => number): Promise<Network> {
  const name = basename(model.file)
  const isFile = await stat(model.file).then(
    (found) => found.isFile(),
    () => false,
  )
  if (!isFile) throw new Error(`There is no file ${model.file}`)
  const runtime = await loadRuntime()
  const by = `${runtime.name} ${runtime.env.versions.common}`
  const session = await load(model.file, runtime).catch((error: unknown) => {
    const told = firstLine(error)
    if (/protobuf|(no|have a) graph/i.test(told)) throw new Error(`${name} is not an ONNX model`)
    throw new Error(`${name} cannot be loaded by ${by}: ${told}`)
  })
  const inputs = session.inputMetadata.map(formOf)
  const settings = settle(model, inputs, session.outputMetadata.map(formOf))
  const { width, height } = settings.size
  const see = async (picture: Picture) => {
    const tensor = new runtime.Tensor('float32', await prepare(picture, settings), [1, 3, height, width])
    const outputs = await session.run({ [inputs[0]?.name ?? '']: tensor })
    // The first is the finest where there are several, in U²-Net and IS-Net.
    return read(outputs[session.outputMetadata[0]?.name ?? ''], settings.output, name)
  }
  const grey = { data: new Uint8Array(width * height * 4).fill(128), width, height }
  const began = now()
  await see(grey).catch((error: unknown) => {
    const told = firstLine(error)
    throw new Error(told.startsWith(name) ? told : `${name} fails in ${by}: ${told}`)
  })
  const seconds = ((now() - began) / 1000).toFixed(1)
  return { name: `${name} at ${width}x${height}, by ${by}: ${seconds} s a picture`, see }
}

function load(file: string, { InferenceSession, name }: Runtime & { name: string }): Promise<Session> {
  // What it warns of is for who made the network.
  const options = { logSeverityLevel: 3 }
  return InferenceSession.create(
    file,
    name === 'onnxruntime-web' ? { ...options, executionProviders: ['wasm'] } : options,
  )
}

function formOf({ name, type = 'no tensor', shape = [] }: Metadata): Form {
  return { name, type, shape }
}

/** The picture in the network's size, plane by plane. */
async function prepare(picture: Picture, { size, mean, std }: Settings): Promise<Float32Array> {
  const { data, width, height } = picture
  const pixels = await sharp(data, { raw: { width, height, channels: 4 } })
    .resize(size.width, size.height, { fit: 'fill' })
    .flatten({ background: '#fff' })
    .raw()
    .toBuffer()
  const count = size.width * size.height
  const planes = new Float32Array(count * 3)
  for (const [c, middle] of mean.entries()) {
    const scale = std[c] ?? 1
    for (let i = 0; i < count; i++) planes[c * count + i] = ((pixels[i * 3 + c] ?? 0) / 255 - middle) / scale
  }
  return planes
}

/** Reads what the network answered. @throws Error if it is not one plane of a mask */
function read(answer: Tensor | undefined, output: Output, name: string): Likelihood {
  const { data, dims = [], type = 'nothing' } = answer ?? {}
  const sides = dims.filter((side) => side !== 1)
  const [height = 1, width = 1] = sides
  if (!(data instanceof Float32Array) || sides.length !== 2 || data.length !== width * height)
    throw new Error(
      `${name}: the output ${print({ type, shape: dims })} is not one mask, expected float32 [1,1,height,width]`,
    )
  const sure = output === 'sigmoid' ? data.map((value) => 1 / (1 + Math.exp(-value))) : data
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of sure) {
    if (value < least) least = value
    if (value > most) most = value
  }
  const plane = new Uint8Array(sure.length)
  // Where it sees no product, stretching would make one of what is least unlikely.
  if (!(most >= 0.5)) return { data: plane, width, height }
  const [low, range] = output === 'min-max' && most > least ? [least, most - least] : [0, 1]
  for (let i = 0; i < plane.length; i++)
    plane[i] = Math.min(255, Math.max(0, Math.round((((sure[i] ?? 0) - low) / range) * 255)))
  return { data: plane, width, height }
}

function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return line
}
