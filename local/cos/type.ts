/**
 * Types by the suffix of a key. The vendor does not publish its list. These are the types that the tests of its SDKs expect,
 * those of a web shop, and pictures. A library with a thousand types would not be closer to the vendor's list.
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
