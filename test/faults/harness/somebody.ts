import { Scope } from '@anteroom/base'
import { createdSession, type SessionStatus } from '@anteroom/contract'
import { palette } from '@anteroom/demo'
import type { Api } from '../../harness/api.ts'
import type { ControllerProcess } from '../../harness/controller-process.ts'
import { SessionTable } from '../../harness/database.ts'
import { openView } from '../../harness/view.ts'

export type NotEnded = Exclude<SessionStatus, 'ended'>

/** A session that is in this state now, or was a moment ago. Queued it stays only where there is no room. */
export async function somebodyWhoIs(status: NotEnded, { api, home }: ControllerProcess): Promise<string> {
  using sessions = new SessionTable(home)
  const { id } = await api.createSession('demo-site', 'somebody')
  if (status === 'ready' || status === 'capturing' || status === 'ending') {
    await api.until(id, 'live', (session) => session.status === 'ready')
    if (status === 'capturing') await api.call('POST', `/v1/sessions/${id}/capture`, { body: {} })
    if (status === 'ending') await api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
  }
  await sessions.untilStatus(id, status)
  return id
}

/** A session whose screen can be seen. */
export async function somebodyLive(api: Api, timeout_seconds?: number): Promise<string> {
  const body = { provider: 'demo-site', subject: 'somebody', timeout_seconds }
  const { id } = createdSession.parse((await api.call('POST', '/v1/sessions', { body })).body)
  await api.until(id, 'live', ({ status }) => status === 'ready')
  return id
}

/** A key that does nothing, and yet is a person's. */
export const shiftKey = 0xffe1

/** The login page is on its screen. A strip of it tells that: an emulated machine has better to do than to send all of it. */
export const untilAtLogin = (api: Api, id: string): Promise<void> =>
  Scope.root('faults').run({ name: 'the login page', deadlineMs: 240_000 }, async (scope) => {
    const { screen } = await openView(api, id, scope)
    const { width, height } = screen.whole
    const strip = { x: Math.floor(width / 2), y: 0, width: 4, height }
    const band = Number.parseInt(palette.siteLogin.band.slice(1), 16)
    await scope.until(async () => {
      // Somebody is there: a limit of a few seconds would end it for one who only waits.
      screen.press(shiftKey)
      const { pixels } = await screen.read(scope, strip)
      for (let at = 0; at < pixels.length; at += 4) if ((pixels.readUInt32LE(at) & 0xffffff) === band) return true
      return undefined
    }, 250)
  })
