import { type Answer, Refusal } from './answer.ts'
import type { CorsRule, CorsSettings } from './buckets.ts'
import { wildcard } from './policy.ts'
import type { CosRequest } from './request.ts'

/** A page's request, as far as it matters here. */
export interface Asked {
  /** Of the page that asks, if it may. */
  origin?: string | undefined
  method: string
  /** The rules of the bucket, if it has some. */
  cors?: CorsSettings | undefined
}

/** OPTIONS Object (product/436/8288): by the bucket's rules; without any, whatever method a page that may ask at all asks for. */
export function preflight({ headers }: CosRequest, settings: CorsSettings | undefined): Answer {
  const [origin, method] = [headers.get('origin'), headers.get('access-control-request-method')]
  if (origin === undefined || method === undefined) throw new Refusal('AccessForbidden')
  const allowed = headers.get('access-control-request-headers')
  if (settings) {
    const wanted = (allowed ?? '').split(',').flatMap((name) => name.trim().toLowerCase() || [])
    const rule = settings.rules.find(
      (one) =>
        fits(one, origin, method) &&
        wanted.every((name) => one.headers.some((text) => wildcard(text.toLowerCase())(name))),
    )
    if (!rule) throw new Refusal('AccessForbidden')
    return {
      status: 200,
      headers: { ...told(rule, origin), ...(allowed !== undefined && { 'Access-Control-Allow-Headers': allowed }) },
    }
  }
  return {
    status: 200,
    headers: {
      'Access-Control-Allow-Methods': method,
      ...(allowed !== undefined && { 'Access-Control-Allow-Headers': allowed }),
      'Access-Control-Max-Age': '600',
    },
  }
}

/** What an answer with these headers says besides to the page that asks. */
export function cors(headers: object, { origin, method, cors: settings }: Asked): Record<string, string> {
  if (settings) {
    const rule = origin === undefined ? undefined : settings.rules.find((one) => fits(one, origin, method))
    // Without it, a browser that has kept a picture without these headers has nothing for a canvas.
    const vary: Record<string, string> = settings.vary ? { Vary: 'Origin' } : {}
    return { ...vary, ...(rule && origin !== undefined && told(rule, origin)) }
  }
  // As with a CORS rule that has ResponseVary.
  const vary = { Vary: 'Origin' }
  if (origin === undefined) return vary
  const exposed = Object.keys({ ...headers, ...vary }).join(', ')
  return { ...vary, 'Access-Control-Expose-Headers': exposed, 'Access-Control-Allow-Origin': origin }
}

function fits({ origins, methods }: CorsRule, origin: string, method: string): boolean {
  return methods.includes(method) && origins.some((text) => wildcard(text)(origin))
}

function told({ origins, methods, expose, maxAge }: CorsRule, origin: string): Record<string, string> {
  return {
    'Access-Control-Allow-Origin': origins.includes('*') ? '*' : origin,
    'Access-Control-Allow-Methods': methods.join(','),
    ...(expose.length > 0 && { 'Access-Control-Expose-Headers': expose.join(',') }),
    ...(maxAge !== undefined && { 'Access-Control-Max-Age': `${maxAge}` }),
  }
}
