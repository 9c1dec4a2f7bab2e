import { open } from 'node:fs/promises'
import { systemErrorCode } from '@anteroom/base'

/** The last `bytes` of a file as text; '' when there is no file. */
export async function tailOf(path: string, bytes: number): Promise<string> {
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    const start = Math.max(0, size - bytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, bytes)), 0, undefined, start)
    return buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return ''
    throw error
  }
}
