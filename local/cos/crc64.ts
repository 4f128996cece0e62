/**
 * CRC-64 of ECMA-182 with reflected bits, the sum in `x-cos-hash-crc64ecma` (product/436/40334). It is computed in two halves
 * of 32 bits, because BigInt arithmetic for each byte would be some fifty times slower.
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

const POLYNOMIAL = 0xc96c5795d7870f42n
const TABLE = table()

function table(): Uint32Array {
  const entries = new Uint32Array(512)
  for (let i = 0; i < 256; i++) {
    let crc = BigInt(i)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n
    entries[i * 2] = Number(crc >> 32n)
    entries[i * 2 + 1] = Number(crc & 0xffffffffn)
  }
  return entries
}

/** The sum of concatenated pieces, from the sums and lengths of the pieces alone, without reading a byte again. */
export function joinedCrc64(pieces: readonly { crc64: string; size: number }[]): string {
  const shifts = new Map<number, bigint>()
  const joined = pieces.reduce((sum, { crc64, size }) => {
    // Each byte that follows multiplies the sum so far by x⁸. The inversions at start and end cancel each other out.
    const shift = shifts.get(size) ?? xToThe8(size)
    shifts.set(size, shift)
    return times(shift, sum) ^ BigInt(crc64)
  }, 0n)
  return joined.toString()
}

// Arithmetic of polynomials modulo that of ECMA-182. The highest bit holds the lowest power.
const ONE = 1n << 63n

function times(a: bigint, b: bigint): bigint {
  let product = 0n
  let factor = b
  for (let bit = ONE; bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= factor
    factor = factor & 1n ? (factor >> 1n) ^ POLYNOMIAL : factor >> 1n
  }
  return product
}

/** x to the power of 8n, by repeated squaring. */
function xToThe8(n: number): bigint {
  let power = ONE
  let square = ONE >> 8n
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = times(power, square)
    square = times(square, square)
  }
  return power
}
