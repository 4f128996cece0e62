/**
 * How a runtime passes a function's variables and its role's credentials. It is not documented which runtime uses which way.
 * - process: in the process's variables; the credentials are set again for every invocation.
 * - context: as JSON in `context.environment`; the process has only the credentials from the start of the instance.
 * - split: in older runtimes, as one text that the bootstrap cuts at every `;` and `=`, to set the process's variables for every
 *   invocation (scfcli, runtime/nodejs8.9/bootstrap.js).
 */
export type Way = 'process' | 'context' | 'split'
export const WAYS: readonly Way[] = ['process', 'context', 'split']

type Variables = Readonly<Record<string, string>>

/** The process's variables when an instance starts. */
export function atStart(way: Way, variables: Variables, role: () => Variables): Variables {
  return way === 'process' ? variables : way === 'context' ? role() : {}
}

/** The variables that are set in the process for an invocation, and the entries that its context has. */
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
