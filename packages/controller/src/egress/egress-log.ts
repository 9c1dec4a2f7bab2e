import type { Socket } from 'node:net'
import type { Clock, Log } from '@anteroom/base'
import type { EgressResult } from '@anteroom/contract'
import type { Destination } from './destination.ts'

/** Hosts beyond these are counted together: a machine must fill neither the controller's memory nor its log nor its database (A6). */
const maxHosts = 200
/** Guests choose names; what is said of them is cut. */
const longestReason = 300

/** What was asked of one host and port since it was written down last. */
export interface EgressCount {
  /** '' with port 0: the others. */
  readonly host: string
  readonly port: number
  readonly result: EgressResult
  readonly reason: string | null
  readonly connections: number
  readonly bytesUp: number
  readonly bytesDown: number
  readonly firstAt: number
  readonly lastAt: number
}

interface Entry {
  count: EgressCount
  /** Changed since it was written down. */
  isNew: boolean
  /** What was counted of each connection that is open. */
  readonly open: Map<Socket, { up: number; down: number }>
}

/** Which hosts one machine asked for, how often, and how much went each way. */
export class EgressLog {
  readonly #log: Log
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  note(destination: Destination, result: Exclude<EgressResult, 'connected'>, reason: string): void {
    this.#asked(destination, result, reason.slice(0, longestReason))
  }

  /** Counts the socket's bytes, while it lives and afterwards. */
  track(destination: Destination, socket: Socket): void {
    const entry = this.#asked(destination, 'connected', null)
    entry.open.set(socket, { up: 0, down: 0 })
    socket.once('close', () => {
      this.#countBytes(entry, socket)
      entry.open.delete(socket)
    })
  }

  /** What is not written down yet. */
  news(): EgressCount[] {
    const entries = [...this.#entries.values()]
    for (const entry of entries) for (const socket of entry.open.keys()) this.#countBytes(entry, socket)
    return entries.filter(({ isNew }) => isNew).map(({ count }) => count)
  }

  /** Those are: only what came since is news. */
  written(counts: readonly EgressCount[]): void {
    for (const written of counts) {
      const entry = this.#entries.get(keyOf(written, written.result))
      if (!entry) continue
      const { connections, bytesUp, bytesDown } = entry.count
      entry.count = {
        ...entry.count,
        connections: connections - written.connections,
        bytesUp: bytesUp - written.bytesUp,
        bytesDown: bytesDown - written.bytesDown,
      }
      entry.isNew = entry.count.lastAt > written.lastAt || entry.count.connections > 0
    }
  }

  /** Nothing more can come. */
  get isOver(): boolean {
    return [...this.#entries.values()].every(({ open, isNew }) => open.size === 0 && !isNew)
  }

  #countBytes(entry: Entry, socket: Socket): void {
    const counted = entry.open.get(socket)
    const [up, down] = [socket.bytesWritten, socket.bytesRead]
    if (!counted || (up === counted.up && down === counted.down)) return
    const { bytesUp, bytesDown } = entry.count
    entry.count = {
      ...entry.count,
      bytesUp: bytesUp + up - counted.up,
      bytesDown: bytesDown + down - counted.down,
      lastAt: this.#clock.now(),
    }
    entry.isNew = true
    entry.open.set(socket, { up, down })
  }

  #asked(destination: Destination, result: EgressResult, reason: string | null): Entry {
    const isKnown = this.#entries.has(keyOf(destination, result))
    const { host, port } = isKnown || this.#entries.size < maxHosts ? destination : { host: '', port: 0 }
    const key = keyOf({ host, port }, result)
    const at = this.#clock.now()
    const none = { host, port, result, reason, connections: 0, bytesUp: 0, bytesDown: 0, firstAt: at, lastAt: at }
    const entry = this.#entries.get(key) ?? { count: none, isNew: true, open: new Map() }
    // Once for each host, not for each of its requests.
    if (!this.#entries.has(key))
      this.#log.info(
        { host: host || '(others)', port, result, ...(reason !== null && { why: reason }) },
        'machine asked for a host',
      )
    entry.count = { ...entry.count, reason, connections: entry.count.connections + 1, lastAt: at }
    entry.isNew = true
    this.#entries.set(key, entry)
    return entry
  }
}

const keyOf = ({ host, port }: Destination, result: EgressResult): string => `${host} ${port} ${result}`
