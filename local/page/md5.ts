import { md5 as algorithm } from '@noble/hashes/legacy'
import { bytesToHex } from '@noble/hashes/utils'

/** After so many bytes the page may answer again. */
const PIECE = 1024 * 1024

/**
 * The MD5 of bytes, in hex. Browsers have none, and COS wants Content-MD5; a method-two upload is signed with it. No secret depends
 * on it.
 */
export async function md5(bytes: Uint8Array): Promise<string> {
  const sum = algorithm.create()
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (at > 0) await new Promise((go) => setTimeout(go))
    sum.update(bytes.subarray(at, at + PIECE))
  }
  return bytesToHex(sum.digest())
}
