import { type Answer, Refusal } from './answer.ts'
import type { CosRequest } from './request.ts'

/** Any method, for a page that may ask at all. */
export function preflight({ headers }: CosRequest): Answer {
  const method = headers.get('access-control-request-method')
  if (!headers.has('origin') || method === undefined) throw new Refusal('AccessForbidden')
  const allowed = headers.get('access-control-request-headers')
  return {
    status: 200,
    headers: {
      'Access-Control-Allow-Methods': method,
      ...(allowed !== undefined && { 'Access-Control-Allow-Headers': allowed }),
      'Access-Control-Max-Age': '600',
    },
  }
}

/** What an answer with these headers says besides to a page of this origin. */
export function cors(headers: object, origin: string | undefined): Record<string, string> {
  // As with a CORS rule that has ResponseVary: else a picture that was kept without these headers is of no use to a canvas.
  const vary = { Vary: 'Origin' }
  if (origin === undefined) return vary
  const exposed = Object.keys({ ...headers, ...vary }).join(', ')
  return { ...vary, 'Access-Control-Expose-Headers': exposed, 'Access-Control-Allow-Origin': origin }
}
