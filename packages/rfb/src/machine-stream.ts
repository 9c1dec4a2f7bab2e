import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** For everything but forwarding: what is read is copied at once, so that all connections can read into the same memory. */
const shared = Buffer.allocUnsafeSlow(64 * 1024)

/**
 * One read of a machine that is forwarded. Measured for the gateway (docs/performance.md): 64 KiB cost half as much CPU again,
 * 512 KiB saved nothing more.
 */
const forwardBytes = 256 * 1024
/** Of connections that are over: the garbage collector is not pressed by this kind of memory, and lets much of it pile up. */
const spare: Buffer<ArrayBuffer>[] = []
const mostSpare = 16

/**
 * Reads of all connections in one turn of the event loop; beyond them each busy one is read once. libuv alone would read each up to
 * 32 times, 8 MiB, before anything else has its turn: what somebody typed beside ten busy viewers took 100 ms.
 */
const mostReadsInTurn = 4
let readsInTurn = 0

/** A machine that vanished without a word is noticed by TCP after this and about nine probes. */
const keepAliveMs = 15_000

/** Takes what the machine said; `done` when the memory may be written to again. */
export type Sink = (chunk: Buffer, done: () => void) => void

/**
 * A connection to a machine: a stream as any other, until `forward` takes its reading end. What is forwarded all goes through one
 * buffer: a new one for each read, as sockets do it, costs more than the copying in the kernel.
 */
export class MachineStream extends Duplex {
  readonly #socket: Socket
  #sink: Sink | undefined
  #buffer: Buffer<ArrayBuffer> = shared
  /** The sink has the buffer. */
  #isLent = false

  constructor(host: string, port: number) {
    super()
    this.#socket = connect({
      ...{ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs },
      onread: { buffer: () => this.#buffer, callback: (bytes, buffer) => this.#take(buffer.subarray(0, bytes)) },
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
    this.#buffer = spare.pop() ?? Buffer.allocUnsafeSlow(forwardBytes)
    this.#socket.resume()
    await new Promise<void>((resolve) => {
      this.#socket.once('end', resolve)
      this.once('close', resolve)
    })
  }

  /** Whether reading goes on by itself. */
  #take(chunk: Uint8Array): boolean {
    if (!this.#sink) return this.push(Buffer.from(chunk))
    this.#isLent = true
    // The socket asks for the buffer after a read, for the next one.
    const isOwn = chunk.buffer === this.#buffer.buffer
    this.#sink(isOwn ? this.#buffer.subarray(0, chunk.length) : Buffer.from(chunk), this.#giveBack)
    return false
  }

  readonly #giveBack = (): void => {
    this.#isLent = false
    if (this.destroyed) this.#release()
    // Not at once: what `#take` answers would stop the socket again.
    else if (++readsInTurn < mostReadsInTurn) process.nextTick(this.#goOn)
    else setImmediate(this.#goOnInNextTurn)
  }

  readonly #goOn = (): void => {
    if (!this.destroyed) this.#socket.resume()
  }

  readonly #goOnInNextTurn = (): void => {
    readsInTurn = 0
    this.#goOn()
  }

  /** Lets the next connection have the buffer. */
  #release(): void {
    if (this.#isLent || this.#buffer === shared) return
    if (spare.length < mostSpare) spare.push(this.#buffer)
    this.#buffer = shared
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
    this.#release()
    done(error)
  }
}

const toSink = (sink: Sink, chunk: Buffer): Promise<void> => new Promise((resolve) => sink(chunk, resolve))
