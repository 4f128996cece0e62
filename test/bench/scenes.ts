import sharp from 'sharp'
import { createMatte } from '../../local/matte/matte.ts'
import { KINDS, scenes } from '../matte/scenes.ts'
import { type Score, score } from '../matte/score.ts'

/** Prints how close the cutouts of drawn scenes are to their true alpha, by kind, for both halves. */
export async function benchScenes(): Promise<void> {
  const matte = createMatte({ workers: 1 })
  try {
    for (const half of ['tune', 'report'] as const) {
      console.log(`\nthe half ${half === 'tune' ? 'to tune on' : 'only reported'}: IoU, SAD in thousands, boundary F`)
      const all = new Map<string, Score[]>(KINDS.map((kind) => [kind, []]))
      for (const { kind, draw } of scenes(half)) {
        const { photo, alpha, width, height } = await draw()
        const [cutout] = await matte.cut(photo, [{ center: false, dx: 0, dy: 0 }])
        const got = await sharp(cutout?.png).extractChannel('alpha').raw().toBuffer()
        all.get(kind)?.push(score(got, alpha, width, height))
      }
      for (const [kind, scores] of all) print(kind, scores)
      const of = (studio: boolean) =>
        [...all].filter(([kind]) => kind.startsWith('studio') === studio).flatMap(([, scores]) => scores)
      print('all studio', of(true))
      print('all drawn', of(false))
    }
  } finally {
    await matte.close()
  }
}

function print(name: string, scores: Score[]): void {
  const mean = (key: keyof Score) => scores.reduce((sum, one) => sum + one[key], 0) / scores.length
  const figures = [mean('iou').toFixed(3), mean('sad').toFixed(2).padStart(7), mean('edge').toFixed(3)]
  console.log(`${name.padEnd(15)} ${figures.join('  ')}`)
}
