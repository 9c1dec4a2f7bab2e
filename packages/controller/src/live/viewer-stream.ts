import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'

/**
 * A viewer's WebSocket as a stream of bytes. Unlike `createWebSocketStream` a viewer that has left takes nothing along: what it
 * sent before can still be read to the end, and what cannot be sent any more is dropped. Text frames are not for this stream.
 */
export class ViewerStream extends Duplex {
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    super()
    this.#socket = socket
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary && !this.destroyed && !this.push(data)) socket.pause()
    })
    socket.once('close', () => this.push(null))
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // Why it could not be sent the close event tells.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(chunk, () => done())
    else done()
  }
}
