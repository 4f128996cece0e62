/** `200,000` */
export function count(number: number): string {
  return number.toLocaleString('en-US')
}

/** `11.1 hours`, `40 minutes`, `5 seconds` */
export function duration(seconds: number): string {
  if (seconds >= 3_600) return `${(seconds / 3_600).toFixed(1)} hours`
  return seconds >= 120 ? `${Math.ceil(seconds / 60)} minutes` : `${Math.ceil(seconds)} seconds`
}
