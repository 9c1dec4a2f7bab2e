import { EventEmitter } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { AppError } from '@anteroom/base'
import type { ProtocolMapping } from 'devtools-protocol/types/protocol-mapping.js'

type Commands = ProtocolMapping.Commands
type Method = keyof Commands

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}

interface Pending {
  readonly method: string
  resolve(result: never): void
  reject(error: Error): void
}

/** The DevTools protocol for one target; without an id, for the browser itself. */
export class CdpSession extends EventEmitter<ProtocolMapping.Events> {
  readonly #connection: CdpConnection
  readonly id: string | undefined
  constructor(connection: CdpConnection, id: string | undefined) {
    super()
    this.#connection = connection
    this.id = id
  }

  /** @throws AppError browser_crashed when the browser ends first; Error when it refuses */
  send<M extends Method>(method: M, ...params: Commands[M]['paramsType']): Promise<Commands[M]['returnType']> {
    return this.#connection.send(this.id, method, params[0])
  }
}

/** Chromium's DevTools protocol over `--remote-debugging-pipe`: JSON messages, each ended by a zero byte. */
export class CdpConnection {
  readonly browser: CdpSession
  readonly #sessions = new Map<string, CdpSession>()
  readonly #pending = new Map<number, Pending>()
  readonly #toBrowser: Writable
  #received: Buffer[] = []
  #lastId = 0
  #closed = false

  constructor(toBrowser: Writable, fromBrowser: Readable) {
    this.#toBrowser = toBrowser
    this.browser = new CdpSession(this, undefined)
    fromBrowser.on('data', (chunk: Buffer) => this.#receive(chunk))
    for (const stream of [toBrowser, fromBrowser]) {
      stream.on('error', () => this.#close())
      stream.on('close', () => this.#close())
    }
  }

  session(id: string): CdpSession {
    const known = this.#sessions.get(id)
    if (known) return known
    const session = new CdpSession(this, id)
    this.#sessions.set(id, session)
    return session
  }

  forget(id: string): void {
    this.#sessions.delete(id)
  }

  send<R>(sessionId: string | undefined, method: string, params: unknown): Promise<R> {
    if (this.#closed) return Promise.reject(browserEnded(method))
    const id = ++this.#lastId
    return new Promise<R>((resolve, reject) => {
      this.#pending.set(id, { method, resolve, reject })
      this.#toBrowser.write(`${JSON.stringify({ id, method, params: params ?? {}, sessionId })}\0`)
    })
  }

  #receive(chunk: Buffer): void {
    let rest = chunk
    for (let end = rest.indexOf(0); end !== -1; end = rest.indexOf(0)) {
      const message = Buffer.concat([...this.#received, rest.subarray(0, end)])
      this.#received = []
      rest = rest.subarray(end + 1)
      this.#dispatch(JSON.parse(message.toString()) as Message)
    }
    if (rest.length > 0) this.#received.push(rest)
  }

  #dispatch(message: Message): void {
    if (message.id === undefined) {
      const session = message.sessionId === undefined ? this.browser : this.#sessions.get(message.sessionId)
      session?.emit(message.method as keyof ProtocolMapping.Events, message.params as never)
      return
    }
    const pending = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    if (message.error) pending?.reject(new Error(`${pending.method}: ${message.error.message}`))
    else pending?.resolve(message.result as never)
  }

  #close(): void {
    this.#closed = true
    for (const pending of this.#pending.values()) pending.reject(browserEnded(pending.method))
    this.#pending.clear()
  }
}

const browserEnded = (method: string): AppError =>
  new AppError('browser_crashed', { detail: `the browser ended during ${method}` })
