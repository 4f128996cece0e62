import { rename, utimes, writeFile } from 'node:fs/promises'

/**
 * Writes a file that appears whole: two builds may run at the same time, and what is running may read what they write.
 * @param {string} path @param {string | Uint8Array} contents @param {Date} [time] when it shall have been changed; now by default
 */
export async function place(path, contents, time) {
  const own = `${path}.${process.pid}`
  await writeFile(own, contents)
  if (time) await utimes(own, time, time)
  await rename(own, path)
}
