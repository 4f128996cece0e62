import { randomUUID } from 'node:crypto'
import { CommonClient } from 'tencentcloud-sdk-nodejs-common'
import { expect } from 'vitest'
import { CREDENTIALS, REGION } from '../../local/cloud.ts'

export type Json = Record<string, unknown>

const VERSIONS = { cam: '2019-01-16', scf: '2018-04-16', cls: '2020-10-16' }

export interface Services {
  cam(action: string, parameters?: object): Promise<Json>
  scf(action: string, parameters?: object): Promise<Json>
  cls(action: string, parameters?: object): Promise<Json>
}

/** The vendor's own client of each service, led to the local cloud. */
export function services(apiUrl: string, key = CREDENTIALS, region = REGION): Services {
  const { host, protocol } = new URL(apiUrl)
  const service = (name: keyof typeof VERSIONS) => {
    const client = new CommonClient(host, VERSIONS[name], {
      credential: key,
      region,
      profile: { httpProfile: { protocol: `${protocol}//` } },
    })
    return (action: string, parameters: object = {}): Promise<Json> => client.request(action, parameters)
  }
  return { cam: service('cam'), scf: service('scf'), cls: service('cls') }
}

/** How the vendor's client tells of an error of the API. */
export function refused(code: string): unknown {
  return expect.objectContaining({ code })
}

export const TRUST = JSON.stringify({
  version: '2.0',
  statement: [{ action: 'name/sts:AssumeRole', effect: 'allow', principal: { service: ['scf.qcloud.com'] } }],
})

/** Looks until nothing is under way; tells the states that were seen. */
export async function settled({ scf }: Services, name: string): Promise<unknown[]> {
  const seen: unknown[] = []
  for (;;) {
    const { Status } = await scf('GetFunction', { FunctionName: name })
    if (Status !== seen.at(-1)) seen.push(Status)
    if (!/ing$/.test(String(Status))) return seen
  }
}

/** A name that no other test has. */
export function unique(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`
}
