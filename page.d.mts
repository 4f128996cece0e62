// The package's types are made without its plain JavaScript.
export function bundlePage(source: string): Promise<Uint8Array>
