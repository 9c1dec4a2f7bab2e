import type { Socket } from 'node:net'
import type { Log } from '@anteroom/base'
import type { Destination } from './destination.ts'
import type { EgressRecord } from './egress.ts'

/** Hosts beyond these are counted in one record: a machine must not fill the controller's memory or log (A6). */
const maxRecords = 500

interface Entry {
  readonly host: string
  readonly port: number
  readonly allowed: boolean
  bytesUp: number
  bytesDown: number
  readonly open: Set<Socket>
}

/** Which hosts one machine asked for, and how much went each way. */
export class EgressLog {
  readonly #log: Log
  readonly #entries = new Map<string, Entry>()

  constructor(log: Log) {
    this.#log = log
  }

  note(destination: Destination, allowed: boolean, why = ''): void {
    this.#entry(destination, allowed, why)
  }

  /** Counts the socket's bytes, while it lives and afterwards. */
  track(destination: Destination, socket: Socket): void {
    const entry = this.#entry(destination, true, '')
    entry.open.add(socket)
    socket.once('close', () => {
      entry.open.delete(socket)
      entry.bytesUp += socket.bytesWritten
      entry.bytesDown += socket.bytesRead
    })
  }

  records(): EgressRecord[] {
    return [...this.#entries.values()].map(({ host, port, allowed, open, ...bytes }) => {
      let { bytesUp, bytesDown } = bytes
      for (const socket of open) {
        bytesUp += socket.bytesWritten
        bytesDown += socket.bytesRead
      }
      return { host, port, allowed, bytesUp, bytesDown }
    })
  }

  #entry(destination: Destination, allowed: boolean, why: string): Entry {
    const full = this.#entries.size >= maxRecords
    const { host, port } = destination
    const known = this.#entries.get(`${host} ${port} ${allowed}`)
    if (known) return known
    const other = full ? { host: '(others)', port: 0 } : { host, port }
    const key = `${other.host} ${other.port} ${allowed}`
    const entry = this.#entries.get(key) ?? { ...other, allowed, bytesUp: 0, bytesDown: 0, open: new Set() }
    // Once for each host, not for each of its requests.
    if (!this.#entries.has(key)) this.#log.info({ ...other, allowed, ...(why && { why }) }, 'machine asked for a host')
    this.#entries.set(key, entry)
    return entry
  }
}
