import { readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawSample, type SampleName } from '../../local/sample.ts'

type Sample = Awaited<ReturnType<typeof drawSample>>
const samples = new Map<SampleName, Promise<Sample>>()

/** A sample, drawn once for all test files that run at the same time: to draw one takes a second. */
export function sample(name: SampleName): Promise<Sample> {
  const one = samples.get(name) ?? readOrDraw(name)
  samples.set(name, one)
  return one
}

async function readOrDraw(name: SampleName): Promise<Sample> {
  const [jpegFile = '', alphaFile = ''] = ['jpg', 'png'].map((ending) => join(tmpdir(), `sample-${name}.${ending}`))
  try {
    return { jpeg: await readFile(jpegFile), alpha: await readFile(alphaFile) }
  } catch {
    const drawn = await drawSample(name)
    for (const [file, bytes] of [
      [jpegFile, drawn.jpeg],
      [alphaFile, drawn.alpha],
    ] as const) {
      // Other processes may read it at the same moment.
      await writeFile(`${file}.${process.pid}`, bytes)
      await rename(`${file}.${process.pid}`, file)
    }
    return drawn
  }
}
