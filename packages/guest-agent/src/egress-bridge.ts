import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Scope } from '@anteroom/base'
import { Pulse } from './pulse.ts'

/** A connection of the browser waits this long for a link to come (back). */
const linkDeadlineMs = 5000
/** 64 KiB, the default, would make one round trip to the controller for each 64 KiB. */
const streamWindowBytes = 4 * 1024 * 1024
const linkWindowBytes = 32 * 1024 * 1024

/**
 * The machine's only way out. Each connection to the browser's proxy port becomes one CONNECT stream (RFC 9113, section
 * 8.5) of the HTTP/2 connection on the link, and its bytes those of the stream.
 */
export class EgressBridge {
  readonly #scope: Scope
  readonly #server: Server
  readonly #attached = new Pulse()
  #link: ClientHttp2Session | undefined

  constructor(scope: Scope) {
    this.#scope = scope
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      this.#carry(socket).catch((error: unknown) => {
        scope.log.debug({ error }, 'a connection of the browser was not carried')
        socket.destroy()
      })
    })
  }

  /** @returns the port */
  async listen(port: number): Promise<number> {
    await this.#scope.race(
      new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject)
        this.#server.listen(port, '127.0.0.1', resolve)
      }),
    )
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : port
  }

  /** The guest is the client on the upgraded connection. A new link replaces the old one. */
  attach(connection: Duplex): void {
    const old = this.#link
    const link = connect('http://egress', {
      createConnection: () => connection,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes },
    })
    link.on('connect', () => link.setLocalWindowSize(linkWindowBytes))
    link.on('error', (error) => this.#scope.log.warn({ error }, 'the egress link failed'))
    link.on('close', () => {
      if (this.#link === link) this.#link = undefined
    })
    this.#link = link
    old?.destroy()
    this.#attached.beat()
    this.#scope.log.info({ replaced: old !== undefined }, 'egress link attached')
  }

  /**
   * Runs `work`, and again over the next link when it failed on one that was lost meanwhile: a controller that starts again must not
   * cost anybody their sign-in. What fails on a link that still stands has failed.
   */
  async throughCuts<T>(work: () => Promise<T>, scope: Scope): Promise<T> {
    for (;;) {
      const link = this.#usableLink()
      try {
        return await work()
      } catch (error) {
        scope.throwIfOver()
        if (link && link === this.#usableLink()) throw error
        scope.log.warn({ error }, 'the egress link was lost on the way; once more over the next one')
      }
      await this.#untilLinked(scope)
    }
  }

  close(): void {
    this.#server.close()
    this.#link?.destroy()
  }

  #usableLink(): ClientHttp2Session | undefined {
    return this.#link?.closed || this.#link?.destroyed ? undefined : this.#link
  }

  async #untilLinked(scope: Scope): Promise<ClientHttp2Session> {
    for (;;) {
      const link = this.#usableLink()
      if (link) return link
      await this.#attached.next(scope)
    }
  }

  async #carry(socket: Socket): Promise<void> {
    const link = await this.#scope.run({ name: 'egress link', deadlineMs: linkDeadlineMs }, (scope) =>
      this.#untilLinked(scope),
    )
    if (socket.destroyed) return
    const stream = link.request({ ':method': 'CONNECT', ':authority': 'egress' })
    stream.on('response', ({ ':status': status }) => {
      if (status !== 200) stream.destroy(new Error(`the controller answered ${status}`))
    })
    join(socket, stream)
  }
}

/** Both ways at the pace of the slower side; an end of one direction is passed on, a failure ends both. */
function join(socket: Socket, stream: ClientHttp2Stream): void {
  socket.pipe(stream)
  stream.pipe(socket)
  stream.on('error', () => socket.destroy())
  stream.on('close', () => {
    // Closed in order, what it brought is still being written to the browser.
    if (stream.rstCode !== 0 || !stream.readableEnded) socket.destroy()
  })
  socket.on('close', () => {
    if (!stream.destroyed) stream.close()
  })
}
