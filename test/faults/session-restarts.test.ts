import { type ErrorCode, type SessionStatus, sessionStatuses } from '@anteroom/contract'
import { expect } from 'vitest'
import type { ControllerProcess } from '../harness/controller-process.ts'
import { SessionTable } from '../harness/database.ts'
import { refusedStart } from '../harness/refused-start.ts'
import { type NotEnded, somebodyWhoIs, untilAtLogin } from './harness/somebody.ts'
import { endAll, endAsAsked, type FaultTest, faultTable } from './harness/stage.ts'

/** From the next start on. */
const goesOnWithinMs = 10_000

/** What was seen from outside may have been over when the kill came: then it is done again. */
async function killWhile(status: NotEnded, controller: ControllerProcess): Promise<[string, ControllerProcess]> {
  let current = controller
  for (let attempt = 0; attempt < 10; attempt++) {
    const id = await somebodyWhoIs(status, current)
    if (status === 'ready') await untilAtLogin(current.api, id)
    let died: SessionStatus | undefined
    current = await current.crash(async () => {
      using sessions = new SessionTable(controller.home)
      died = sessions.statusOf(id)
    })
    if (died === status) return [id, current]
    await endAll(current.api, [id])
  }
  throw new Error(`no kill met a session that was ${status}`)
}

/** The live view can be opened, its person has lost nothing; or the next state has come. */
async function goesOn(status: NotEnded, id: string, { api }: ControllerProcess): Promise<void> {
  await api.until(
    id,
    `further than ${status}`,
    (now) => now.status === 'ready' || sessionStatuses.indexOf(now.status) > sessionStatuses.indexOf(status),
    goesOnWithinMs,
  )
  if (status === 'ready') expect((await api.call('POST', `/v1/sessions/${id}/tickets`, { body: {} })).status).toBe(201)
}

/** Goes on to the end that was meant: what was asked of it before the kill, else what is asked of it now. */
async function endsAsMeant(status: NotEnded, id: string, { api }: ControllerProcess): Promise<ErrorCode | null> {
  if (status === 'capturing') {
    const session = await api.ended(id)
    expect(session.captured).not.toBeNull()
    return session.failure?.code ?? null
  }
  if (status !== 'ending') await api.until(id, 'live', (session) => session.status === 'ready')
  return await endAsAsked(api, id)
}

const killedWhile = (status: NotEnded): FaultTest => ({
  id: 'S1',
  fault: `the controller is killed while a session is ${status}`,
  code: null,
  async inject({ controller, replace }, made) {
    const [id, next] = await killWhile(status, controller)
    replace(next)
    made()
    // A capture begins again, and how long it takes is its machine's.
    if (status !== 'capturing') await goesOn(status, id, next)
    return await endsAsMeant(status, id, next)
  },
})

faultTable('session-restarts', { config: { limits: { max_machines: 2 } } }, [
  {
    ...{ id: 'S1', fault: 'the controller is killed while a session is queued', code: null },
    async inject({ controller, replace }, made) {
      const ready = await somebodyWhoIs('ready', controller)
      await untilAtLogin(controller.api, ready)
      const queued = await somebodyWhoIs('queued', controller)
      const next = await controller.crash()
      replace(next)
      made()
      expect((await next.api.session(queued)).status).toBe('queued')
      await endAll(next.api, [ready])
      return await endsAsMeant('queued', queued, next)
    },
  },
  ...(['starting', 'vm_created', 'ready', 'capturing', 'ending'] as const).map(killedWhile),
  {
    ...{ id: 'S2', fault: 'a second controller on the same state directory', code: 'controller_locked' },
    async inject({ controller, bystander }, made) {
      made()
      const { code, said } = await refusedStart(controller.home)
      expect(said).toContain(`pid ${controller.pid} uses ${controller.home}`)
      expect((await controller.api.session(bystander.id)).status).toBe('ready')
      return code
    },
  },
])
