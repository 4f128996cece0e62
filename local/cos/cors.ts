import { type Answer, Refusal } from './answer.ts'
import type { CosRequest } from './request.ts'

/** Answers a preflight request: a page that may use COS at all may use every method. */
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

/** The further headers of an answer to a page of this origin. */
export function cors(headers: object, origin: string | undefined): Record<string, string> {
  // As with a CORS rule that has ResponseVary. Without it a browser would reuse a picture that it cached without these headers,
  // and a canvas could not read that.
  const vary = { Vary: 'Origin' }
  if (origin === undefined) return vary
  const exposed = Object.keys({ ...headers, ...vary }).join(', ')
  return { ...vary, 'Access-Control-Expose-Headers': exposed, 'Access-Control-Allow-Origin': origin }
}
