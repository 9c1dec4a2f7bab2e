import { once } from 'node:events'
import { type Ticket, ticket } from '@anteroom/contract'
import { readExactly, sharedClientInit } from '@anteroom/rfb'
import { createWebSocketStream, WebSocket } from 'ws'
import type { Api } from '../../harness/api.ts'
import { scope } from './breakable-host.ts'

/** RFC 6143 section 7.5.4. */
const keyEvent = (key: string, isDown: boolean): Buffer =>
  Buffer.from([4, Number(isDown), 0, 0, 0, 0, 0, key.charCodeAt(0)])

/** Somebody who types into a session's machine through the live view, for as long as it takes. */
export class Typist {
  /** With which code their view was closed. */
  readonly closed: Promise<number>

  private constructor(socket: WebSocket) {
    this.closed = once(socket, 'close').then(([code]) => code)
  }

  static async sitDown(api: Api, sessionId: string): Promise<Typist> {
    const { body } = await api.call('POST', `/v1/sessions/${sessionId}/tickets`, { body: { access: 'control' } })
    const { url }: Ticket = ticket.parse(body)
    const socket = new WebSocket(url, ['binary'])
    const typist = new Typist(socket)
    const stream = createWebSocketStream(socket)
    stream.on('error', () => {})
    await scope.run({ name: 'RFB handshake of a viewer', deadlineMs: 20_000 }, async (inner) => {
      stream.write(await readExactly(stream, 12, inner))
      await readExactly(stream, (await readExactly(stream, 1, inner)).readUInt8(0), inner)
      stream.write(Buffer.of(1))
      await readExactly(stream, 4, inner)
      stream.write(sharedClientInit)
      const init = await readExactly(stream, 24, inner)
      await readExactly(stream, init.readUInt32BE(20), inner)
    })
    for (const key of 'lovelace') stream.write(Buffer.concat([keyEvent(key, true), keyEvent(key, false)]))
    stream.resume()
    return typist
  }
}
