import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { MattingError } from '../lib/errors.ts'
import { plain } from '../lib/layout.ts'
import { paid } from '../lib/paid.ts'
import { upload } from '../lib/pay/pay.ts'
import { photo } from './helpers/cos.ts'
import { KEY, outcome, SECOND, startStill } from './helpers/still.ts'

const md5 = (body: Buffer) => createHash('md5').update(body).digest('hex')
let mine: Buffer
let other: Buffer
beforeAll(async () => {
  mine = await photo()
  other = await photo(80, 60)
})

describe('an upload by a server whose answer is lost', () => {
  it.each([
    // Then nothing is made on the way.
    [1, 'stored', true],
    [2, 'unavailable', false],
  ])('is never taken for stored because HEAD fails the time no. %i: %s', async (failing, told, lies) => {
    const cos = await startStill()
    await cos.source(other)
    cos.faults.set([{ on: 'GoodsMatting', kind: 'reset', times: 1 }])
    const parts = cos.parts()
    let heads = 0
    const head = async (key: string) => {
      if (++heads === failing) throw new MattingError('unavailable')
      return cos.bucket.head(key)
    }
    const client = { ...parts.cos, head }
    const putting = upload({ ...parts, cos: client }, KEY, { body: mine, type: 'image/jpeg' }, [plain])
    expect(await outcome(putting.then(() => 'stored'))).toBe(told)
    expect((await cos.bucket.head(KEY))?.etag).toBe(md5(lies ? mine : other))
  })

  it('leaves what was put again meanwhile, though it is what lay there before', async () => {
    const cos = await startStill()
    await cos.source(other)
    cos.advance(SECOND)
    const parts = cos.parts()
    const client = {
      ...parts.cos,
      [paid]: {
        ...parts.cos[paid],
        async upload(...args: Parameters<(typeof parts.cos)[typeof paid]['upload']>) {
          await parts.cos[paid].upload(...args)
          await cos.bucket.put(KEY, other, { type: 'image/jpeg' })
          throw new MattingError('unknown-outcome')
        },
      },
    }
    await upload({ ...parts, cos: client }, KEY, { body: mine, type: 'image/jpeg' }, [plain])
    expect((await cos.bucket.head(KEY))?.etag).toBe(md5(other))
  })
})
