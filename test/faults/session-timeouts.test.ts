import { Scope } from '@anteroom/base'
import { type ErrorCode, liveCloseCodes, type SessionEnd } from '@anteroom/contract'
import { expect } from 'vitest'
import { metricsOf } from '../../bench/machines/controller-metrics.ts'
import { openView, type View } from '../harness/view.ts'
import { shiftKey, somebodyLive } from './harness/somebody.ts'
import { endAsAsked, endOf, enter, type FaultTest, faultTable, type Stage } from './harness/stage.ts'

/** An emulated machine has better to do than to send all of its screen. */
const corner = { x: 0, y: 0, width: 64, height: 64 }

/** Types until the scope is over or the view is. */
async function keepTyping({ screen, closed }: View, scope: Scope): Promise<void> {
  const over = new AbortController()
  void closed.then(() => over.abort())
  const either = AbortSignal.any([over.signal, scope.signal])
  while (!either.aborted) {
    screen.press(shiftKey)
    await scope.clock.delay(500, either)
  }
}

/** Beside somebody who signs in: limits of a few seconds hold for the bystander too. */
const besideTyping =
  (work: (stage: Stage, made: () => void, scope: Scope) => Promise<ErrorCode | null>): FaultTest['inject'] =>
  (stage, made) =>
    Scope.root('faults').run({ name: 'beside somebody who types', deadlineMs: 300_000 }, async (scope) => {
      const view = await openView(stage.controller.api, stage.bystander.id, scope)
      void keepTyping(view, scope)
      const cut = view.closed.then((code) => Promise.reject(new Error(`the bystander's view was closed with ${code}`)))
      return await Promise.race([work(stage, made, scope), cut])
    })

/** Sockets of the live view that are open. */
const viewers = async (api: Stage['controller']['api']): Promise<number> => (await metricsOf(api))('anteroom_viewers')

faultTable('session-timeouts', { config: { timeouts: { first_connect_seconds: 6, idle_seconds: 6 } } }, [
  {
    ...{ id: 'S5', fault: 'the person never comes', code: 'session_never_opened' },
    inject: besideTyping(async (stage, made) => {
      const id = await somebodyLive(stage.controller.api)
      made()
      return await endOf(stage, id)
    }),
  },
  {
    ...{ id: 'S5', fault: 'the person closes the tab', code: 'session_idle' },
    inject: besideTyping(async (stage, made, scope) => {
      const id = await somebodyLive(stage.controller.api)
      const { screen } = await openView(stage.controller.api, id, scope)
      screen.press(shiftKey)
      await screen.read(scope, corner)
      screen.close()
      made()
      return await endOf(stage, id)
    }),
  },
  {
    ...{ id: 'S5', fault: 'the view is cut and comes back within the limit', code: null },
    inject: besideTyping(async ({ controller: { api } }, made, scope) => {
      const id = await somebodyLive(api)
      const first = await openView(api, id, scope)
      await first.screen.read(scope, corner)
      const { browser_vm_id, idle_expires_at } = await api.until(id, 'in use', (now) => now.idle_expires_at !== null)
      first.socket.terminate()
      made()
      const again = await openView(api, id, scope)
      await again.screen.read(scope, corner)
      // What they do counts as before, on the same machine.
      void keepTyping(again, scope)
      const { browser_vm_id: after } = await api.until(
        id,
        'further from its limit',
        (now) => Date.parse(now.idle_expires_at ?? '') > Date.parse(idle_expires_at ?? ''),
      )
      expect(after).toBe(browser_vm_id)
      return await endAsAsked(api, id)
    }),
  },
  {
    ...{ id: 'S5', fault: 'the laptop sleeps, its connection half open', code: 'session_idle' },
    inject: besideTyping(async (stage, made, scope) => {
      const { api } = stage.controller
      const id = await somebodyLive(api)
      const { screen, socket } = await openView(api, id, scope)
      await screen.read(scope, corner)
      socket.pause()
      made()
      const code = await endOf(stage, id)
      // Nobody holds the view of a machine that is gone, whether its viewer hears of it or not.
      await scope.until(async () => (await viewers(api)) === 1 || undefined, 100)
      return code
    }),
  },
  {
    ...{ id: 'S5', fault: 'the time is over while the person types', code: 'session_expired' },
    inject: besideTyping(async (stage, made, scope) => {
      const id = await somebodyLive(stage.controller.api, 12)
      const view = await openView(stage.controller.api, id, scope)
      made()
      await keepTyping(view, scope)
      expect(await view.closed).toBe(liveCloseCodes.session_ended)
      return await endOf(stage, id)
    }),
  },
  {
    ...{ id: 'S5', fault: 'the person comes after it has expired', code: 'session_expired' },
    inject: besideTyping(async (stage, made) => {
      const { api } = stage.controller
      const body = { provider: 'demo-site', subject: 'somebody', timeout_seconds: 5 }
      const { id, hosted_url } = (await api.call('POST', '/v1/sessions', { body })).body as Record<string, string>
      await api.ended(id ?? '')
      made()
      // The page tells it in place of a screen.
      const { status, body: told } = await enter(api, hosted_url ?? '')
      expect(status).toBe(200)
      const { outcome, failure } = told.end as SessionEnd
      expect(outcome).toBe('expired')
      return failure?.code ?? null
    }),
  },
])
