/**
 * CRC-64 of ECMA-182 with reflected bits, as `x-cos-hash-crc64ecma` has it (product/436/40334).
 *
 * In two halves of 32 bits: BigInt arithmetic for each byte would be some fifty times slower.
 */
export class Crc64 {
  #high = 0xffffffff
  #low = 0xffffffff

  update(bytes: Uint8Array): void {
    let high = this.#high
    let low = this.#low
    for (const byte of bytes) {
      const i = ((low ^ byte) & 0xff) * 2
      low = ((low >>> 8) | (high << 24)) ^ (TABLE[i + 1] ?? 0)
      high = (high >>> 8) ^ (TABLE[i] ?? 0)
    }
    this.#high = high
    this.#low = low
  }

  digest(): string {
    return ((BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0)).toString()
  }
}

const TABLE = table()

function table(): Uint32Array {
  const entries = new Uint32Array(512)
  for (let i = 0; i < 256; i++) {
    let crc = BigInt(i)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0xc96c5795d7870f42n : crc >> 1n
    entries[i * 2] = Number(crc >> 32n)
    entries[i * 2 + 1] = Number(crc & 0xffffffffn)
  }
  return entries
}
