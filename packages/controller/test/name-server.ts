import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'

/** A name server of the wire format of RFC 1035, with one answer to each question; null: it says nothing. */
export class NameServer {
  readonly asked: string[] = []
  answer: (name: string, type: number) => Buffer[] | null = () => []
  readonly #socket: Socket = createSocket('udp4')

  async open(): Promise<string> {
    this.#socket.on('message', (question, from) => this.#serve(question, from))
    this.#socket.bind(0, '127.0.0.1')
    await once(this.#socket, 'listening')
    return `127.0.0.1:${this.#socket.address().port}`
  }

  close(): void {
    this.#socket.close()
  }

  #serve(question: Buffer, { port, address }: RemoteInfo): void {
    const labels: string[] = []
    let at = 12
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const type = question.readUInt16BE(at + 1)
    const name = labels.join('.')
    if (!this.asked.includes(name)) this.asked.push(name)
    const addresses = this.answer(name, type)
    if (addresses === null) return
    const head = Buffer.from(question.subarray(0, at + 5))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(addresses.length, 6)
    // No records of other sections, which a question of EDNS has.
    head.fill(0, 8, 12)
    const records = addresses.map((bytes) => {
      const record = Buffer.alloc(12)
      record.writeUInt16BE(0xc00c, 0)
      record.writeUInt16BE(type, 2)
      record.writeUInt16BE(1, 4)
      record.writeUInt16BE(bytes.length, 10)
      return Buffer.concat([record, bytes])
    })
    this.#socket.send(Buffer.concat([head, ...records]), port, address)
  }
}

/** Of a question, in `answer`. */
export const typeA = 1
