/**
 * The MD5 of bytes, in hex (RFC 1321). Browsers have none, and COS wants Content-MD5; a method-two upload is signed with it.
 * No secret depends on it.
 */
export async function md5(bytes: Uint8Array): Promise<string> {
  const padded = new Uint8Array((((bytes.length + 8) >>> 6) + 1) * 64)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  // Little-endian, as is every machine with a browser.
  const words = new Uint32Array(padded.buffer)
  words[words.length - 2] = bytes.length << 3
  words[words.length - 1] = bytes.length / 2 ** 29
  const sum = new Uint32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476])
  for (let block = 0; block < words.length; block += 16) {
    // A large photo takes a while, in which the page still answers.
    if (block > 0 && block % AT_ONCE === 0) await new Promise((go) => setTimeout(go))
    mix(sum, words.subarray(block, block + 16))
  }
  return [...new Uint8Array(sum.buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Words mixed in one go: 2 MiB. */
const AT_ONCE = 512 * 1024

const TURNS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
const SINES = Uint32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32))

function mix(sum: Uint32Array, words: Uint32Array): void {
  let [a = 0, b = 0, c = 0, d = 0] = sum
  for (let i = 0; i < 64; i++) {
    const round = i >> 4
    let f = c ^ (b | ~d)
    let at = 7 * i
    if (round === 0) {
      f = (b & c) | (~b & d)
      at = i
    } else if (round === 1) {
      f = (d & b) | (~d & c)
      at = 5 * i + 1
    } else if (round === 2) {
      f = b ^ c ^ d
      at = 3 * i + 5
    }
    const turn = TURNS[round * 4 + (i & 3)] ?? 0
    const x = (a + f + (SINES[i] ?? 0) + (words[at & 15] ?? 0)) | 0
    a = d
    d = c
    c = b
    b = (b + ((x << turn) | (x >>> (32 - turn)))) | 0
  }
  for (const [i, part] of [a, b, c, d].entries()) sum[i] = ((sum[i] ?? 0) + part) | 0
}
