/** The vendor's center-layout and padding-layout=<dx>x<dy>; dx and dy in pixels. */
export interface Layout {
  center: boolean
  dx: number
  dy: number
}

/** The names of its parameters, in rules and in queries. */
export const LAYOUT_PARAMETERS: readonly string[] = ['center-layout', 'padding-layout']
