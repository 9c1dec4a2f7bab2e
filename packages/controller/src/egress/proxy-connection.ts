import type { ServerHttp2Stream } from 'node:http2'
import { Duplex } from 'node:stream'

/**
 * A CONNECT stream as the connection that `http.Server` wants. It must not get the HTTP/2 stream itself: when it corks a
 * head (a string) and a body (a buffer), the stream sends freed memory of this process in place of the head, to the
 * machine (seen with Node 20.20 and 24.21, every time). What is written here arrives there as single buffers.
 */
export class ProxyConnection extends Duplex {
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream) {
    super()
    this.#stream = stream
    stream.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stream.pause()
    })
    stream.on('end', () => this.push(null))
    stream.on('error', (error) => this.destroy(error))
    // Reset by the machine. With a write under way Node waits for ever for its end and never says `close`.
    stream.on('aborted', () => this.destroy())
    stream.on('close', () => this.destroy())
    stream.on('timeout', () => this.emit('timeout'))
  }

  /** As of a socket; `http.Server` uses it for its own limits. */
  setTimeout(ms: number, onTimeout?: () => void): this {
    this.#stream.setTimeout(ms)
    if (onTimeout) this.once('timeout', onTimeout)
    return this
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#stream.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.destroy(error ?? undefined)
    done(error)
  }
}
