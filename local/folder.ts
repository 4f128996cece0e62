import { once } from 'node:events'
import { closeSync, constants, lstatSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

/** O_EXLOCK of macOS and the BSDs, and libuv's UV_FS_O_EXLOCK on Windows. Node has no name for either. */
const EXLOCK = process.platform === 'win32' ? 0x10000000 : 0x20

/**
 * Reserves a folder for this process, and creates it if it is missing. The returned function releases it. Two local clouds on
 * one folder would each let a client write the same claim. The operating system releases the folder when the process ends,
 * even by kill -9, so no lock file is left over that might be out of date.
 * @throws Error if another process holds it
 */
export async function holdFolder(dir: string): Promise<() => void> {
  mkdirSync(dir, { recursive: true })
  const inUse = new Error(`The folder ${dir} is in use by another local cloud; choose another with --data DIR.`)
  if (process.platform !== 'linux') {
    const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
    try {
      const lock = openSync(join(dir, 'lock'), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | EXLOCK)
      return () => closeSync(lock)
    } catch (error) {
      throw /^(EAGAIN|EBUSY)$/.test(Object(error).code) ? inUse : error
    }
  }
  // Linux cannot lock a file while it opens it. It has abstract sockets instead: names without a file, at each of which only
  // one process of a network namespace can listen.
  const { dev, ino } = statSync(dir, { bigint: true })
  const server = createServer((socket) => socket.destroy())
  server.listen({ path: `\0cos-goods-matting ${dev} ${ino}`, exclusive: true }).unref()
  try {
    await once(server, 'listening')
  } catch (error) {
    throw Object(error).code === 'EADDRINUSE' ? inUse : error
  }
  return () => void server.close()
}

/**
 * Somebody else may have prepared the folder. A link in it would make us read, write and delete outside of it, and a pipe would
 * make us wait for ever.
 * @throws Error unless it is a folder that holds only folders and plain files
 */
export function checkFolder(dir: string): void {
  if (!lstatSync(dir).isDirectory()) throw new Error(`${dir} is not a folder.`)
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory() && !entry.isFile())
      throw new Error(`${join(entry.parentPath, entry.name)} is neither a plain file nor a folder.`)
  }
}

/**
 * Whether a text has the form of our file names. Only such a name is used when it was read from a file: others may lead
 * elsewhere.
 */
export function isFileId(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}

/** The JSON of a file as an object; an empty object if it is not JSON. */
export function parseJson(text: string): object {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
