import { expect, it } from 'vitest'
import { plain } from '../lib/layout.ts'
import { presignUpload } from '../lib/pay/pay.ts'
import { UPLOAD } from '../local/cloud.ts'
import { photo, putQuietly, startForTest } from './helpers/cloud.ts'
import { md5, partsOf } from './helpers/uploads.ts'

const KEY = 'uploads/mug.jpg'

it('whoever has a PUT signed over a photo that lies there gets none, keeps nobody waiting, and uses up nothing', async () => {
  const cloud = await startForTest({ environment: { DAILY_LIMIT: '1' } })
  const [body, another] = await Promise.all([photo(), photo('#2040b0')])
  await putQuietly(cloud, KEY, body)
  for (const { length, hash } of [body, another].map((one) => ({ length: one.length, hash: md5(one) }))) {
    const wish = { key: KEY, md5: hash, type: 'image/jpeg', size: length }
    expect(await presignUpload(partsOf(cloud, { DAILY_LIMIT: '1' }), wish, [plain], UPLOAD)).toBeUndefined()
  }
  expect(await cloud.keys('.matting/')).toEqual([])
  expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('made')
})
