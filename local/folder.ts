import { once } from 'node:events'
import { closeSync, constants, lstatSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

/** O_EXLOCK of macOS and its kin, and libuv's word for it on Windows; Node has no name for either. */
const EXLOCK = process.platform === 'win32' ? 0x10000000 : 0x20

/**
 * Holds a folder, made if need be, for this process alone; what comes back lets go of it. Two local clouds on one folder would each hand out the same
 * claim. The system itself lets go at the process's end, be it kill -9: no file stays behind that would have to be believed.
 * @throws Error if somebody else holds it
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
  // Linux cannot lock while opening. It has names that only one can listen at, of no file, for all processes of a network namespace.
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
 * Whoever makes a folder up must not lead us out of it: a link would have us read, write and delete elsewhere, and a pipe wait for ever.
 * @throws Error if it holds, or is, anything but folders and plain files
 */
export function checkFolder(dir: string): void {
  if (!lstatSync(dir).isDirectory()) throw new Error(`${dir} is not a folder.`)
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory() && !entry.isFile())
      throw new Error(`${join(entry.parentPath, entry.name)} is neither a plain file nor a folder.`)
  }
}

/** The form of the names that files get here: with no other can a name read from a file lead out of its folder. */
export function isFileId(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}

/** What a file says, as an object; an empty one if it is not JSON. */
export function parseJson(text: string): object {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
