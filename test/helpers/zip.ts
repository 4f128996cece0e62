import { deflateRawSync } from 'node:zlib'

export interface ZipEntry {
  name: string
  data?: Buffer | string
  /** Unix file mode; default: a plain file's. */
  mode?: number
  /** What it claims to be when unpacked; default: the truth. */
  size?: number
}

/** A zip of these entries, also of such as no tool would make. */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data = '', mode = 0o100644, size } of entries) {
    const bytes = Buffer.from(data)
    const packed = deflateRawSync(bytes)
    const common = Buffer.alloc(26)
    // Version 2.0, UTF-8, deflated; no check of the sum.
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x800, 2)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(size ?? bytes.length, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed])
    const more = Buffer.alloc(14)
    more.writeUInt32LE((mode * 0x10000) >>> 0, 6)
    more.writeUInt32LE(offset, 10)
    // Made by Unix.
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, more, Buffer.from(name)]))
    parts.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, central, end])
}

/** As requests carry it. */
export function zipFile(...entries: ZipEntry[]): string {
  return zip(entries).toString('base64')
}
