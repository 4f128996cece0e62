import { describe, expect, it } from 'vitest'
import { toRequest } from '../functions/image/event.ts'
import { imageUrl } from '../lib/access.ts'
import { readRequest } from '../lib/asked.ts'
import { readConfig } from '../lib/config.ts'
import { MattingError } from '../lib/errors.ts'

const config = readConfig({
  COS_BUCKET: 'photos-1250000000',
  COS_REGION: 'ap-guangzhou',
  ACCESS: 'signed',
  URL_KEYS: 'shop:0123456789abcdef',
})
const grant = { layout: 'plain', key: 'uploads/mug.jpg', expires: 1_798_761_600 }
const { pathname: path, search } = new URL(imageUrl('http://function', grant, 'shop', '0123456789abcdef'))
const query = Object.fromEntries(new URLSearchParams(search))
const { exp = '', ...rest } = query
const lists = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, [value]]))

function answer(event: object): unknown {
  try {
    const { url } = toRequest({ httpMethod: 'GET', path, ...event })
    return readRequest(new URL(url), config).sources
  } catch (error) {
    return MattingError.from(error).code
  }
}

describe('a gateway’s event', () => {
  it.each<[string, object]>([
    ['SCF’s queryString', { queryString: query }],
    ['the same as text', { queryString: search }],
    ['queryStringParameters', { queryString: {}, queryStringParameters: query }],
    ['multiValueQueryStringParameters', { queryString: null, multiValueQueryStringParameters: lists }],
    [
      'Lambda’s text, and a map that joins values',
      { rawQueryString: search.slice(1), queryStringParameters: { exp: '1,2' } },
    ],
    ['the same in two places', { queryStringParameters: query, multiValueQueryStringParameters: lists }],
    ['all in one, a part in another', { queryString: query, queryStringParameters: { exp } }],
    ['some here, some there', { queryString: rest, queryStringParameters: { exp } }],
    ['nothing as text, all as a map', { queryString: '', queryStringParameters: query }],
    ['other parameters, given twice', { multiValueQueryStringParameters: { ...lists, x: ['1', '2'] } }],
  ])('has its query read from %s', (_, event) => {
    expect(answer(event)).toEqual(['uploads/mug.jpg'])
  })

  it('without a query is not signed', () => {
    expect(answer({})).toBe('bad-signature')
  })

  it.each<[string, object]>([
    ['in a list', { queryString: { ...query, exp: [exp, exp] } }],
    ['in text', { queryString: `${search}&exp=${exp}` }],
    ['in Lambda’s text', { rawQueryString: `${search.slice(1)}&sig=x`, queryStringParameters: query }],
    [
      'in one place, once in another',
      { queryStringParameters: query, multiValueQueryStringParameters: { ...lists, kid: ['shop', 'shop'] } },
    ],
    [
      'in the first place, once in another',
      { queryString: { ...query, exp: [exp, exp] }, queryStringParameters: query },
    ],
    ['with another value in another place', { queryString: query, queryStringParameters: { exp: '1900000000' } }],
  ])('lets no parameter of the signature slip past the access check that is given twice %s', (_, event) => {
    expect(answer(event)).toBe('bad-request')
  })
})
