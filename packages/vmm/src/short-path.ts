import { open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

/** A unix socket's address holds 107 bytes (unix(7)); through a descriptor of its directory the path's length does not matter. */
export async function withShortPath<T>(socketPath: string, use: (path: string) => Promise<T>): Promise<T> {
  await using directory = await open(dirname(socketPath))
  return await use(`/proc/self/fd/${directory.fd}/${basename(socketPath)}`)
}
