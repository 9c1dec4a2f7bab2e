import { Scope } from '@anteroom/base'
import { type ErrorCode, liveCloseCodes } from '@anteroom/contract'
import { openScreenWithoutPassword } from '@anteroom/rfb'
import { expect } from 'vitest'
import { PageVisit } from '../../bench/machines/page-visit.ts'
import { openView } from '../harness/view.ts'
import { type NotEnded, somebodyLive, somebodyWhoIs } from './harness/somebody.ts'
import { endAll, endAsAsked, enter, type FaultTest, faultTable, refusal, type Stage } from './harness/stage.ts'

type Work = (stage: Stage, made: () => void, scope: Scope) => Promise<ErrorCode | null>

/** With a scope that takes its views along. */
const inScope =
  (work: Work): FaultTest['inject'] =>
  (stage, made) =>
    Scope.root('faults').run({ name: 'the fault', deadlineMs: 300_000 }, (scope) => work(stage, made, scope))

/** A few seconds, and more on a host that is busy with something else. */
const endedWithinMs = 30_000

async function cancelledWhile(status: NotEnded, { controller }: Stage, made: () => void): Promise<ErrorCode | null> {
  const { api } = controller
  // What was seen from outside may have been over when the request came: then it is done again.
  for (let attempt = 0; attempt < 10; attempt++) {
    const others = status === 'queued' ? [await somebodyWhoIs('ready', controller)] : []
    const id = await somebodyWhoIs(status, controller)
    made()
    const cancel = () => api.call('POST', `/v1/sessions/${id}/cancel`, { body: {} })
    const answers = await Promise.all([cancel(), cancel()])
    expect(answers.map((answer) => answer.status)).toEqual([200, 200])
    const met = answers.some(({ body }) => body.status === status)
    const ended = await api.until(id, 'ended', (session) => session.status === 'ended', endedWithinMs)
    expect((await cancel()).body).toEqual(ended)
    await endAll(api, others)
    if (met && ended.outcome === 'cancelled') return ended.failure?.code ?? null
  }
  throw new Error(`no request met a session that was ${status}`)
}

const cancelled = (status: NotEnded): FaultTest => ({
  ...{ id: 'S7', fault: `cancelled twice while ${status}, and once more after the end`, code: 'session_cancelled' },
  inject: (stage, made) => cancelledWhile(status, stage, made),
})

faultTable('session-people', { config: { limits: { max_machines: 2 } } }, [
  {
    ...{ id: 'S6', fault: 'the page is opened before there is a machine', code: 'session_not_ready' },
    inject: inScope(async ({ controller }, made, scope) => {
      const { api } = controller
      const other = await somebodyWhoIs('ready', controller)
      const created = await api.createSession('demo-site', 'somebody')
      const visit = await PageVisit.enter(created, scope)
      made()
      const early = refusal(await api.call('POST', `/v1/sessions/${created.id}/tickets`, { body: {} }))
      expect((await api.session(created.id)).stages.at(-1)).toMatchObject({ name: 'queue', duration_ms: null })
      await endAll(api, [other])
      // The same page goes on by itself.
      await visit.untilReady(scope)
      await visit.live(scope)
      await endAll(api, [created.id])
      return early
    }),
  },
  {
    ...{ id: 'S6', fault: 'the link is opened in a second browser', code: 'entry_invalid' },
    inject: inScope(async ({ controller: { api } }, made, scope) => {
      const created = await api.createSession('demo-site', 'somebody')
      const visit = await PageVisit.enter(created, scope)
      made()
      const second = refusal(await enter(api, created.hosted_url))
      await visit.untilReady(scope)
      await visit.live(scope)
      await endAll(api, [created.id])
      return second
    }),
  },
  {
    ...{ id: 'S6', fault: 'the screen is opened in a second window', code: null },
    inject: inScope(async ({ controller: { api } }, made, scope) => {
      const id = await somebodyLive(api)
      const first = await openView(api, id, scope)
      await first.screen.read(scope)
      made()
      const second = await openView(api, id, scope)
      expect(await first.closed).toBe(liveCloseCodes.replaced)
      await second.screen.read(scope)
      return await endAsAsked(api, id)
    }),
  },
  {
    ...{ id: 'S6', fault: 'the page is reloaded in the middle', code: null },
    inject: inScope(async ({ controller: { api } }, made, scope) => {
      const created = await api.createSession('demo-site', 'somebody')
      const visit = await PageVisit.enter(created, scope)
      await visit.untilReady(scope)
      const before = await api.session(created.id)
      const view = await visit.live(scope)
      view.destroy()
      made()
      const again = await openScreenWithoutPassword(await visit.live(scope), scope)
      await again.read(scope)
      expect(await api.session(created.id)).toMatchObject({ status: 'ready', browser_vm_id: before.browser_vm_id })
      return await endAsAsked(api, created.id)
    }),
  },
  ...(['queued', 'starting', 'vm_created', 'ready', 'capturing', 'ending'] as const).map(cancelled),
])
