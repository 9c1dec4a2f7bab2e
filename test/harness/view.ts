import { once } from 'node:events'
import type { Scope } from '@anteroom/base'
import { ticket } from '@anteroom/contract'
import { openScreenWithoutPassword, type Screen } from '@anteroom/rfb'
import { createWebSocketStream, WebSocket } from 'ws'
import type { Api } from './api.ts'

export interface View {
  readonly screen: Screen
  readonly socket: WebSocket
  /** How the controller closed it. */
  readonly closed: Promise<number>
}

/** The live view without the page around it; closed when the scope is over. */
export async function openView(api: Api, sessionId: string, scope: Scope): Promise<View> {
  const answer = await api.call('POST', `/v1/sessions/${sessionId}/tickets`, { body: { access: 'control' } })
  if (answer.status !== 201) throw new Error(`no ticket: ${answer.status} ${JSON.stringify(answer.body)}`)
  const socket = new WebSocket(ticket.parse(answer.body).url, ['binary'])
  scope.defer(() => socket.terminate())
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  const stream = createWebSocketStream(socket)
  await scope.race(once(socket, 'open'))
  return { socket, closed, screen: await openScreenWithoutPassword(stream, scope) }
}
