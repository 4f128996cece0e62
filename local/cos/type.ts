/**
 * Types by the end of a key. The vendor's list is not published; these are what its SDKs' suites expect, what a shop's page is made
 * of, and pictures: a library's thousand types would not be nearer to it.
 */
const TYPES = new Map(
  Object.entries({
    avif: 'image/avif',
    bmp: 'image/bmp',
    css: 'text/css',
    csv: 'text/csv',
    gif: 'image/gif',
    heic: 'image/heic',
    htm: 'text/html',
    html: 'text/html',
    ico: 'image/x-icon',
    jpeg: 'image/jpeg',
    jpg: 'image/jpeg',
    js: 'application/javascript',
    json: 'application/json',
    mp4: 'video/mp4',
    pdf: 'application/pdf',
    png: 'image/png',
    svg: 'image/svg+xml',
    tif: 'image/tiff',
    tiff: 'image/tiff',
    txt: 'text/plain',
    webp: 'image/webp',
    xml: 'text/xml',
    zip: 'application/zip',
  }),
)

/** The Content-Type of an object that came without one. */
export function typeOf(key: string): string {
  const [, end = ''] = /\.([^.]+)$/.exec(key.toLowerCase()) ?? []
  return TYPES.get(end) ?? 'application/octet-stream'
}
