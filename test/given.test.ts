import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { refused, type Services, services } from './helpers/api.ts'
import { photo, putQuietly, startTestCloud, type TestCloud } from './helpers/cloud.ts'

describe('the management API of a local cloud that runs serverless.yml', () => {
  let cloud: TestCloud
  let api: Services
  beforeAll(async () => {
    cloud = await startTestCloud({ instances: 1 })
    api = services(cloud.apiUrl)
  })
  afterAll(() => cloud.close())

  it('runs its functions by the names that they have where they are deployed', async () => {
    await putQuietly(cloud, 'uploads/a.jpg', await photo())
    const cosBucket = { region: 'ap-guangzhou', name: 'photos', appid: '1250000000' }
    const cosObject = { key: '/1250000000/photos/uploads/a.jpg', size: 1, meta: {}, vid: '' }
    const event = { eventName: 'cos:ObjectCreated:Put', eventTime: 0, eventSource: 'qcs::cos' }
    const ClientContext = JSON.stringify({ Records: [{ cos: { cosObject, cosBucket }, event }] })
    const call = { FunctionName: 'matting-upload-dev', InvocationType: 'Event', ClientContext }
    expect(await api.scf('Invoke', call)).toMatchObject({ Result: { InvokeResult: 0 } })
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toHaveLength(1)
    const FunctionName = 'matting-upload-dev'
    expect(await api.scf('GetFunctionEventInvokeConfig', { FunctionName })).toMatchObject({
      AsyncTriggerConfig: { RetryConfig: [{ RetryNum: 2 }], MsgTTL: 21_600 },
    })
    expect(await api.scf('GetReservedConcurrencyConfig', { FunctionName })).toMatchObject({ ReservedMem: null })
  })

  it('knows no others, and changes nothing: that is for an empty account', async () => {
    const call = { FunctionName: 'upload', InvocationType: 'Event' }
    await expect(api.scf('Invoke', call)).rejects.toEqual(refused('ResourceNotFound.Function'))
    for (const action of ['CreateFunction', 'ListFunctions', 'DeleteFunction'])
      await expect(api.scf(action, {})).rejects.toEqual(refused('UnsupportedOperation'))
    await expect(api.cam('ListPolicies')).rejects.toEqual(refused('UnsupportedOperation'))
  })
})
