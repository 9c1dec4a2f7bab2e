import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Problem, Ticket } from '@anteroom/contract'
import { WebSocket } from 'ws'
import { type EdgeOptions, startEdge } from '../../../packages/controller/src/http/test/running-edge.ts'
import { shakeHands, startMachine } from '../../../packages/controller/src/live/live.fixture.ts'

/** The controller's edge on a socket with sessions that have a screen: an RFB server that shakes hands and says no more. */
export async function openDoor(options: EdgeOptions = {}) {
  const edge = await startEdge(options)
  const machine = await startMachine(async (socket) => {
    await shakeHands(socket)
    // What it is sent is not looked at, but taken.
    socket.resume()
  })
  const readySession = async (projectId?: string) => {
    const session = await edge.newSession(projectId)
    await edge.makeReady(session.id, machine.endpoint)
    await edge.sessions.agree(session.id, 'test')
    return session
  }
  const addressOf = (id: string, ticket: string, more = ''): string =>
    `${edge.url.replace('http', 'ws')}/v1/sessions/${id}/live?ticket=${encodeURIComponent(ticket)}${more}`
  return {
    edge,
    readySession,
    addressOf,
    /** To look on, with the operator's key, unless the headers say who asks. */
    async ticket(id: string, headers: Record<string, string> = {}, body: object = {}): Promise<string> {
      const own = headers.cookie === undefined ? {} : { origin: edge.url, 'x-anteroom-request': '1' }
      const answer = await edge.call(
        'POST',
        `/v1/sessions/${id}/tickets`,
        { access: 'view', ...body },
        { ...own, ...headers },
      )
      if (answer.status !== 201) throw new Error(`no ticket: ${answer.status} ${await answer.text()}`)
      return ((await answer.json()) as Ticket).ticket
    },
    async stop(): Promise<void> {
      await edge.stop()
      await machine.close()
    },
  }
}

/** How the door answers: `open`, or the code of the problem. An open view is closed again. */
export async function knock(address: string, headers: Record<string, string> = {}): Promise<string> {
  const socket = new WebSocket(address, 'binary', { headers })
  const refused = once(socket, 'unexpected-response').then(async ([request, response]) => {
    const body = (await (response as IncomingMessage).toArray()).join('')
    request.destroy()
    return (JSON.parse(body) as Problem).code
  })
  const opened = once(socket, 'open').then(() => 'open')
  // The loser of the two ends with the socket's error or never.
  refused.catch(() => {})
  opened.catch(() => {})
  const answer = await Promise.race([refused, opened])
  socket.terminate()
  return answer
}
