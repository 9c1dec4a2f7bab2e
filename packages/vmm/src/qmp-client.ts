import { createConnection, type Socket } from 'node:net'
import type { Scope } from '@anteroom/base'
import { withShortPath } from './short-path.ts'

/** QAPI `RunState`; those that a machine of ours can be in. */
export type RunState =
  | 'prelaunch'
  | 'inmigrate'
  | 'running'
  | 'paused'
  | 'postmigrate'
  | 'shutdown'
  | 'internal-error'
  | 'io-error'
  | 'guest-panicked'

/** The commands that are used here: arguments and answer. */
interface Commands {
  qmp_capabilities: [undefined, unknown]
  'query-status': [undefined, { readonly status: RunState; readonly running: boolean }]
  stop: [undefined, unknown]
  cont: [undefined, unknown]
  quit: [undefined, unknown]
  netdev_del: [{ readonly id: string }, unknown]
  set_link: [{ readonly name: string; readonly up: boolean }, unknown]
  migrate: [{ readonly uri: string }, unknown]
  'migrate-incoming': [{ readonly uri: string }, unknown]
  'query-migrate': [undefined, { readonly status?: string; readonly 'error-desc'?: string }]
  'migrate-set-capabilities': [
    { readonly capabilities: readonly { readonly capability: string; readonly state: boolean }[] },
    unknown,
  ]
}
type CommandArguments<C extends keyof Commands> = Commands[C][0] extends undefined ? [] : [Commands[C][0]]

export interface QmpClient {
  /** Rejects when the monitor refuses the command or closes the connection. */
  execute<C extends keyof Commands>(command: C, ...args: CommandArguments<C>): Promise<Commands[C][1]>
  close(): void
  [Symbol.asyncDispose](): Promise<void>
}

/** The monitor is not trusted: a guest may have taken it over. Its longest honest answer is a few hundred bytes. */
const longestLine = 256 * 1024

interface Waiter {
  resolve(answer: unknown): void
  reject(error: Error): void
}

/**
 * Connects to QEMU's monitor and negotiates. QEMU serves one client at a time: close soon. Closed when the scope is over.
 * @throws the system's error when nothing listens, AppError deadline_exceeded
 */
export async function openQmp(socketPath: string, scope: Scope): Promise<QmpClient> {
  // Listened to from the same turn on: a monitor that has just ended refuses at once, and nobody's error would end this process.
  const connection = await withShortPath(socketPath, async (path) => new QmpConnection(createConnection(path)))
  const abort = (): void => connection.close()
  scope.signal.addEventListener('abort', abort, { once: true })
  void connection.closed.then(() => scope.signal.removeEventListener('abort', abort))
  try {
    await scope.race(connection.greeting)
    await scope.race(connection.execute('qmp_capabilities'))
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

interface Message {
  readonly QMP?: unknown
  readonly id?: unknown
  readonly return?: unknown
  readonly error?: { readonly desc?: string }
}

function parseMessage(line: string): Message | Error {
  const broken = new Error(`the monitor sent no message: ${line.slice(0, 200)}`)
  try {
    const message: unknown = JSON.parse(line)
    return typeof message === 'object' && message !== null ? message : broken
  } catch {
    return broken
  }
}

class QmpConnection implements QmpClient {
  readonly greeting: Promise<unknown>
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiter>()
  #lastId = 0
  #rest = ''
  #failure: Error | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    // Number 0 waits for the greeting, which carries no id.
    this.greeting = this.#answerTo(0)
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#fail(new Error('the monitor closed its connection'))
        resolve()
      })
    })
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => this.#receive(chunk))
    socket.on('error', (error) => this.#fail(error))
  }

  async execute<C extends keyof Commands>(command: C, ...[args]: CommandArguments<C>): Promise<Commands[C][1]> {
    if (this.#failure) throw this.#failure
    const id = ++this.#lastId
    const answer = this.#answerTo(id)
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    return (await answer) as Commands[C][1]
  }

  close(): void {
    this.#socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  #answerTo(id: number): Promise<unknown> {
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    // Whoever waits sees the failure; without anybody waiting it is not an unhandled one.
    answer.catch(() => {})
    return answer
  }

  #receive(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') this.#message(line)
    if (this.#rest.length > longestLine) this.#fail(new Error('the monitor sent an endless line'))
  }

  #message(line: string): void {
    const message = parseMessage(line)
    if (message instanceof Error) {
      this.#fail(message)
      return
    }
    const id = message.QMP === undefined ? message.id : 0
    const waiter = typeof id === 'number' ? this.#waiting.get(id) : undefined
    // Events, and answers to nobody's question.
    if (!waiter || typeof id !== 'number') return
    this.#waiting.delete(id)
    if (message.error) waiter.reject(new Error(`the monitor refused: ${message.error.desc ?? line.slice(0, 200)}`))
    else waiter.resolve(message.return)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const waiter of this.#waiting.values()) waiter.reject(this.#failure)
    this.#waiting.clear()
    this.#socket.destroy()
  }
}
