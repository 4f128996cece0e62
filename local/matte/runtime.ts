/**
 * What is used of ONNX Runtime. Its packages are optional, so their types may not be there; and a module that lacks these is
 * not taken for one of them.
 */
export interface Runtime {
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor
  InferenceSession: { create(file: string, options: object): Promise<Session> }
  env: { versions: { common: string }; wasm: { numThreads?: number } }
}

export interface Tensor {
  type: string
  data: unknown
  dims: readonly number[]
}

export interface Session {
  inputMetadata: readonly Metadata[]
  outputMetadata: readonly Metadata[]
  run(inputs: Record<string, Tensor>): Promise<Record<string, Tensor>>
}

/** Type and shape are missing where a value is no tensor. */
export interface Metadata {
  name: string
  type?: string
  shape?: readonly (number | string)[]
}

/** Installs what a network needs; `.ci/run` has the same. */
export const INSTALL = 'npm install -D --no-save --ignore-scripts onnxruntime-web@1.30.0'

/**
 * Loads ONNX Runtime: the native one if it is there, else the one in WebAssembly.
 * @throws Error in one line, if neither is there
 */
export async function loadRuntime(): Promise<Runtime & { name: string }> {
  let cause: unknown
  for (const name of ['onnxruntime-node', 'onnxruntime-web']) {
    try {
      const loaded: unknown = await import(name)
      if (!isRuntime(loaded)) throw new Error(`${name} is not what it was`)
      const { Tensor, InferenceSession, env } = loaded
      // Its threads would be workers of this worker, which would outlive it.
      env.wasm.numThreads = 1
      return { Tensor, InferenceSession, env, name }
    } catch (error) {
      // The native one may be there without its library, where that is not made for the machine.
      cause = error
    }
  }
  throw new Error(`A network needs ONNX Runtime: ${INSTALL}`, { cause })
}

function isRuntime(loaded: unknown): loaded is Runtime {
  const { Tensor, InferenceSession, env } = Object(loaded)
  const { versions, wasm } = Object(env)
  return [Tensor, InferenceSession?.create].every((part) => typeof part === 'function') && Boolean(versions && wasm)
}
