import type { Readable } from 'node:stream'
import type { Scope } from '@anteroom/base'

/** The stream ended before the bytes that were waited for. */
export class StreamEnded extends Error {
  override readonly name = 'StreamEnded'
}

/** The next `length` bytes of a stream that nobody else reads. @throws StreamEnded, AppError at the scope's end */
export async function readExactly(stream: Readable, length: number, scope: Scope): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let missing = length; missing > 0; ) {
    // All that is there: `read(n)` leaves a shorter rest in the buffer, and a stream with something in its buffer says
    // `readable` again at once, for ever.
    const chunk: Buffer | null = stream.read()
    if (chunk) {
      if (chunk.length > missing) stream.unshift(chunk.subarray(missing))
      chunks.push(chunk.subarray(0, missing))
      missing -= Math.min(missing, chunk.length)
    } else if (stream.readableEnded || stream.destroyed) {
      throw new StreamEnded('the connection was closed', { cause: stream.errored })
    } else await scope.race(nextChange(stream))
  }
  return Buffer.concat(chunks)
}

/** Resolves when there may be more to read, or never will be. */
const nextChange = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    const finish = (): void => {
      for (const event of ['readable', 'end', 'close']) stream.off(event, finish)
      resolve()
    }
    for (const event of ['readable', 'end', 'close']) stream.on(event, finish)
  })
