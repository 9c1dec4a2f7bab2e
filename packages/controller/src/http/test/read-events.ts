import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'

/** The lines of a `text/event-stream`, as they come. */
export function linesOf(response: Response): AsyncIterator<string> {
  if (!response.body) throw new Error(`${response.status} has no body`)
  // Readable.fromWeb wants Node's own type of the same stream.
  const body = Readable.fromWeb(response.body as import('node:stream/web').ReadableStream)
  return createInterface({ input: body })[Symbol.asyncIterator]()
}

/** The next line that the predicate likes. */
export async function nextLine(lines: AsyncIterator<string>, wanted: (line: string) => boolean): Promise<string> {
  for (;;) {
    const { value, done } = await lines.next()
    if (done) throw new Error('the stream ended')
    if (wanted(value)) return value
  }
}
