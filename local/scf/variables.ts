/**
 * How a runtime hands a function's variables and its role's credentials over; which one does it how is not documented.
 * - process: in the process's variables, the credentials anew for every invocation.
 * - context: as JSON in `context.environment`; in the process are only the credentials of the instance's start.
 * - split: older ones, as one text, which their bootstrap cuts at every `;` and `=`, and puts into the process's variables for
 *   every invocation (scfcli, runtime/nodejs8.9/bootstrap.js).
 */
export type Way = 'process' | 'context' | 'split'
export const WAYS: readonly Way[] = ['process', 'context', 'split']

type Variables = Readonly<Record<string, string>>

/** What stands in the process's variables when an instance starts. */
export function atStart(way: Way, variables: Variables, role: () => Variables): Variables {
  return way === 'process' ? variables : way === 'context' ? role() : {}
}

/** What is set in the process's variables for an invocation, and what its context tells. */
export function forInvocation(way: Way, variables: Variables, role: Variables) {
  if (way === 'process') return { set: role, told: {} }
  const all = { ...variables, ...role }
  const environ = Object.entries(all)
    .map(([name, value]) => `${name}=${value}`)
    .join(';')
  if (way === 'context') return { set: {}, told: { environment: JSON.stringify(all), environ } }
  const pairs = environ.split(';').filter(Boolean)
  return { set: Object.fromEntries(pairs.map((pair) => pair.split('=', 2))), told: { environ } }
}
