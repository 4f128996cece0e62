import bars from 'cli-progress'
import { count, duration } from './amount.ts'

/** How far a run is. */
export interface Standing {
  /** Paid calls. */
  paid: number
  /** Photos that were cut out. */
  cut: number
  /** Objects that are cut out already, or refused. */
  skipped: number
  failed: number
}

export interface Progress {
  /** Shows that something has changed. */
  update(standing: Standing): void
  /** Prints a line, above the bar if there is one. */
  say(line: string): void
  end(): void
}

/** Without a terminal one line is printed so often, in milliseconds. */
const PERIOD = 10_000

/** Shows on standard error how far a run is: as a bar on a terminal, otherwise in lines. `total`: photos to cut, if it is known. */
export function startProgress(
  stream: NodeJS.WriteStream,
  total: number | undefined,
  { now, say }: { now: () => number; say: (line: string) => void },
): Progress {
  const began = now()
  const words = ({ paid, skipped, failed }: Standing) =>
    `paid ${count(paid)}, skipped ${count(skipped)}, failed ${count(failed)}`
  if (stream.isTTY && total !== undefined && total > 0) {
    const bar = new bars.SingleBar(
      {
        stream,
        hideCursor: true,
        etaBuffer: 100,
        format: '{bar} {value}/{total} | {words} | ETA {eta_formatted}',
        formatTime: (seconds) => duration(Number(seconds) || 0),
      },
      bars.Presets.shades_classic,
    )
    bar.start(total, 0, { words: '' })
    return {
      update: (standing) => bar.update(Math.min(total, standing.cut + standing.failed), { words: words(standing) }),
      say(line) {
        stream.write('\r\u001b[K')
        say(line)
      },
      end: () => bar.stop(),
    }
  }
  let last: Standing = { paid: 0, cut: 0, skipped: 0, failed: 0 }
  const timer = setInterval(() => {
    const rate = last.cut / Math.max(1, (now() - began) / 1000)
    say(`${words(last)}; ${rate.toFixed(1)} photos a second`)
  }, PERIOD)
  return {
    update(standing) {
      last = { ...standing }
    },
    say,
    end: () => clearInterval(timer),
  }
}
