/** The fields of a value that came from outside, such as an event; none if it is not an object. */
export function fields(value: unknown): Record<string, unknown> {
  return Object(value)
}
