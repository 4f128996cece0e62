import type { BillItem, RequestRecord } from '../../local/cos/cos.ts'
import type { InvocationRecord } from '../../local/scf/function.ts'
import type { Bucket } from '../helpers/cloud.ts'

/** What happened according to the local cloud, and not according to the product. */
export interface Evidence {
  requests: readonly RequestRecord[]
  invocations: readonly InvocationRecord[]
  bill: readonly BillItem[]
}

/** The source of evidence: the local cloud itself or its control API. */
export interface Witness {
  requests(): Promise<readonly RequestRecord[]>
  invocations(): Promise<readonly InvocationRecord[]>
  bill(): Promise<readonly BillItem[]>
}

/** Collects evidence every so many milliseconds, because the local cloud keeps only the latest records. */
export function watch(witness: Witness, every: number): { evidence(): Promise<Evidence>; stop(): void } {
  const requests = new Map<string, RequestRecord>()
  const invocations = new Map<string, InvocationRecord>()
  const note = async () => {
    for (const record of await witness.requests()) requests.set(record.id, record)
    for (const run of await witness.invocations()) invocations.set(run.id, run)
  }
  const timer = setInterval(() => note().catch(() => {}), every)
  return {
    async evidence() {
      await note()
      return {
        requests: [...requests.values()],
        invocations: [...invocations.values()],
        bill: await witness.bill(),
      }
    },
    stop: () => clearInterval(timer),
  }
}

/** Everything about one photo in the order of time, to be read when something is wrong with it. */
export async function tellStory(
  { bucket, keys }: Bucket,
  { requests, invocations, bill }: Evidence,
  photo: string,
): Promise<string> {
  const lines: { at: string; text: string }[] = []
  for (const { at, operation, method, path, status, ms } of requests) {
    if (path.includes(photo))
      lines.push({ at, text: `${operation || method} ${path.split('?')[0]}: ${status}, ${ms} ms` })
  }
  for (const { at, method, etag, fileid, outcome } of bill) {
    if (fileid.includes(photo)) lines.push({ at, text: `PAID by ${method}, cut ${etag}: ${fileid} ${outcome}` })
  }
  for (const { at, function: name, instance, outcome, ms, logs } of invocations) {
    const own = logs.filter((line) => line.includes(photo))
    if (own.length > 0) lines.push({ at, text: `${name} ${instance} ${outcome}, ${ms} ms: ${own.join(' ')}` })
  }
  const records: string[] = []
  for (const key of await keys('.matting/')) {
    const text = key.startsWith('.matting/claims/') && !key.includes(photo) ? undefined : await bucket.get(key)
    if (text && (key.includes(photo) || text.body.includes(photo))) records.push(`${key}: ${text.body}`)
  }
  const story = lines.sort((a, b) => (a.at < b.at ? -1 : 1)).map(({ at, text }) => `    ${at} ${text}`)
  return [`  the story of ${photo}:`, ...story, ...records.map((text) => `    ${text}`)].join('\n')
}
