import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'

/**
 * One read of a busy machine. Measured for a gateway (docs/performance.md): 64 KiB cost half as much CPU again, 512 KiB saved
 * nothing more.
 */
const readBytes = 256 * 1024
/** A machine that vanished without a word is noticed by TCP after this and about nine probes. */
const keepAliveMs = 15_000

/** Takes what the machine said; `done` when the memory may be written to again. */
export type Sink = (chunk: Buffer, done: () => void) => void

/**
 * A connection to a machine: a stream as any other, until `forward` takes its reading end. All reads go to the same memory, which
 * for forwarding is all there is: a buffer of its own for each read costs more than the copying in the kernel.
 */
export class MachineStream extends Duplex {
  readonly #socket: Socket
  #sink: Sink | undefined

  constructor(host: string, port: number) {
    super()
    const buffer = Buffer.allocUnsafeSlow(readBytes)
    this.#socket = connect({
      ...{ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs },
      onread: { buffer, callback: (bytes) => this.#take(buffer.subarray(0, bytes)) },
    })
    this.#socket.on('connect', () => this.emit('connect'))
    this.#socket.on('end', () => this.push(null))
    this.#socket.on('error', (error) => this.destroy(error))
    this.#socket.on('close', () => this.destroy())
    // Whoever uses the stream learns of the error from reading; without a listener it would end the process.
    this.on('error', () => {})
  }

  /** Gives everything from here on to `sink`, one chunk after the other. Resolves when the machine has said its last. */
  async forward(sink: Sink): Promise<void> {
    for (let early: Buffer | null = this.read(); early; early = this.read()) await toSink(sink, early)
    if (this.destroyed || this.#socket.readableEnded) return
    this.#sink = sink
    this.#socket.resume()
    await new Promise<void>((resolve) => {
      this.#socket.once('end', resolve)
      this.once('close', resolve)
    })
  }

  /** Reading goes on when this gives true, or with `resume`. */
  #take(chunk: Buffer): boolean {
    if (!this.#sink) return this.push(Buffer.from(chunk))
    this.#sink(chunk, this.#next)
    return false
  }

  readonly #next = (): void => {
    if (!this.destroyed) this.#socket.resume()
  }

  override _read(): void {
    if (!this.#sink) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done)
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}

const toSink = (sink: Sink, chunk: Buffer): Promise<void> => new Promise((resolve) => sink(chunk, resolve))
