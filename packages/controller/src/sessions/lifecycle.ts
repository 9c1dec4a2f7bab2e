import { AppError, type Scope } from '@anteroom/base'
import { providerDefinition, rfbPort } from '@anteroom/contract'
import type { AgentLink } from '../agent/agent.ts'
import { egressPolicyOf } from '../egress/egress.ts'
import type { Lease } from '../leases/leases.ts'
import type { Tx } from '../store/store.ts'
import { isDeadline, watchMachine, whyNotBooted } from './autopsy.ts'
import { failureOf } from './failure.ts'
import { takeLeave } from './farewell.ts'
import { limitsOfReady } from './limits.ts'
import type { SessionDeps } from './session-deps.ts'
import type { SessionRow, SessionRows } from './session-rows.ts'
import { isSignedIn, requireScreen, saySignedIn, statusesOf } from './sign-in-status.ts'

/**
 * The story of one session, from request to nothing-left. Each chapter starts from the row alone, measures before it acts and
 * may be run again from its beginning after a crash at any line; it ends by moving the row to the next state.
 */
export interface Lifecycle {
  /** `queued → starting`: a place to live. The only chapter that may find no room; undefined then. */
  admit(row: SessionRow, scope: Scope): Promise<SessionRow | undefined>
  /** `starting → vm_created`: a network slot and a machine on it; a warm one has both already. */
  start(row: SessionRow, scope: Scope): Promise<SessionRow>
  /** `vm_created → ready`: its agent answers and is claimed, its screen is painted. */
  wake(row: SessionRow, scope: Scope): Promise<SessionRow>
  /** `ready → capturing`: the person signs in by hand. */
  signIn(row: SessionRow, scope: Scope): Promise<SessionRow>
  /** `capturing → ending`: what was announced is sealed in the machine and confirmed by the vault. */
  keep(row: SessionRow, scope: Scope): Promise<SessionRow>
  /** Any state `→ ending`: how it ends is decided here and never again. */
  end(row: SessionRow, reason: AppError): Promise<SessionRow>
  /** `ending → ended`: nothing of it is left on the host. */
  tearDown(row: SessionRow, scope: Scope): Promise<SessionRow>
}

export function createLifecycle(deps: SessionDeps, rows: SessionRows): Lifecycle {
  const { store, config, leases, driver, slots, pool, live, egress, vault, clock } = deps

  async function leaseOf(row: SessionRow): Promise<Lease> {
    const lease = await leases.ofSession(store.db, row.id)
    if (!lease) throw new AppError('machine_lost', { detail: 'no machine is leased to this session' })
    if (lease.slot_kind !== slots.kind)
      throw new AppError('machine_lost', {
        detail: `it is on a ${lease.slot_kind} slot; this controller makes ${slots.kind} slots`,
      })
    return lease
  }

  /** The summary of what the vault has confirmed, as it is stored; a connection that was deleted meanwhile keeps nothing. */
  async function keptBy(tx: Tx, row: SessionRow): Promise<string | null> {
    const connections = tx.selectFrom('connections').select('captured').where('last_session_id', '=', row.id)
    return (await connections.where('id', '=', row.connection_id ?? '').executeTakeFirst())?.captured ?? null
  }

  const whileAlive = <T>(lease: Lease, scope: Scope, work: (scope: Scope) => Promise<T>): Promise<T> =>
    watchMachine(driver, lease.id, scope, work)

  return {
    async admit(row, scope) {
      const offer = await pool.offer(scope)
      return await store.transaction(async (tx) => {
        const held = (await leases.all(tx)).filter((lease) => lease.session_id !== null)
        if (held.length >= config.limits.max_machines) return undefined
        await pool.take(tx, offer, row.id)
        return await rows.transition(tx, row, 'starting', 'network')
      })
    },

    async start(row, scope) {
      const lease = await pool.connect(await leaseOf(row), scope)
      await rows.enterStage(row.id, 'machine')
      const machine_origin = await pool.provide(lease, scope)
      return await rows.move(row, 'vm_created', 'boot', {
        browser_vm_id: lease.id,
        vm_ip: lease.vm_ip,
        vnc_url: `vnc://${lease.vm_ip}:${rfbPort}`,
        ...{ image_id: lease.image_id, machine_origin },
      })
    },

    async wake(row, scope) {
      const lease = await leaseOf(row)
      const agent = deps.agentOf(lease)
      await whileAlive(lease, scope, async (watched) => {
        const bootMs = Math.max(1, lease.created_at + config.timeouts.boot_seconds * 1000 - clock.now())
        // A restored one was saved after its agent had said hello and its screen was painted. Asking again would wake the agent first.
        const boots = row.machine_origin === 'booted' || row.machine_origin === null
        if (boots)
          await watched
            .run({ name: 'boot', deadlineMs: bootMs }, (inner) => inner.until(() => agent.hello(inner), 250))
            .catch(async (error: unknown) => Promise.reject(await whyNotBooted(error, driver, lease.id)))
        await rows.enterStage(row.id, 'claim')
        await agent.claim({ machine_id: lease.id }, watched)
        await rows.enterStage(row.id, 'screen')
        await watched
          .run({ name: 'first painted screen', deadlineMs: Math.max(30_000, bootMs) }, (inner) =>
            inner.until(
              async () => {
                if (boots && !(await hasScreen(agent, inner))) return undefined
                return (await live.isPainted(deps.rfbOf(lease), inner)) || undefined
              },
              boots ? 200 : 25,
            ),
          )
          .catch((error: unknown) =>
            Promise.reject(isDeadline(error) ? new AppError('display_blank', { cause: error }) : error),
          )
      })
      return await rows.move(row, 'ready', 'open', limitsOfReady(config.timeouts, clock.now()))
    },

    async signIn(row, scope) {
      const lease = await leaseOf(row)
      const agent = deps.agentOf(lease)
      const provider = providerDefinition.parse(JSON.parse(row.provider_definition))
      await whileAlive(lease, scope, async (watched) => {
        await attachEgress(row, lease, watched)
        await agent.open({ session_id: row.id, provider, sealing_key: await vault.sealingKey(row.id) }, watched)
        await rows.enterStage(row.id, 'sign_in')
        for await (const status of statusesOf(agent, watched)) {
          if (isSignedIn(status)) return
          await attachEgress(row, lease, watched)
          if ((await rows.load(store.db, row.id)).capture_requested) await saySignedIn(agent, watched)
        }
      })
      return await rows.move(row, 'capturing', 'capture')
    },

    async keep(row, scope) {
      const lease = await leaseOf(row)
      const agent = deps.agentOf(lease)
      const captured = await whileAlive(lease, scope, (watched) => agent.capture(watched))
      await rows.enterStage(row.id, 'store')
      if (row.connection_id === null) throw new AppError('internal', { detail: 'the session has no connection' })
      await vault.store(
        { id: row.id, provider: row.provider, connectionId: row.connection_id },
        captured.sealed,
        captured.summary,
      )
      return await rows.move(row, 'ending', 'teardown', {
        outcome: 'completed',
        captured: JSON.stringify(captured.summary),
      })
    },

    async end(row, reason) {
      const ending = await store.transaction(async (tx) => {
        // Whatever came in between: what the vault has confirmed was handed over, and the outcome says so.
        const captured = await keptBy(tx, row)
        if (captured !== null)
          return await rows.transition(tx, row, 'ending', 'teardown', { outcome: 'completed', captured })
        // And what it has not it never will: a capture may be on its way to it at this very moment.
        await vault.discardSealingKey(tx, row.id)
        const running = tx
          .selectFrom('stages')
          .select('name')
          .where('session_id', '=', row.id)
          .where('ended_at', 'is', null)
        const stage = (await running.executeTakeFirst())?.name ?? null
        return await rows.transition(tx, row, 'ending', 'teardown', failureOf(reason, stage))
      })
      deps.events.notify(row.id)
      return ending
    },

    async tearDown(row, scope) {
      await live.close(row.id, row.outcome === 'failed' ? 'machine_lost' : 'session_ended')
      const lease = await leases.ofSession(store.db, row.id)
      if (lease) {
        await takeLeave({ session: row, lease, deps, rows }, scope)
        egress.detach(lease.id)
        await pool.dispose(lease, scope)
      }
      const ended = await store.transaction(async (tx) => {
        if (lease) await leases.release(tx, lease.id)
        await vault.discardSealingKey(tx, row.id)
        return await rows.transition(tx, row, 'ended', null, { ended_at: clock.now() })
      })
      deps.events.notify(row.id)
      return ended
    },
  }

  async function hasScreen(agent: AgentLink, scope: Scope): Promise<boolean> {
    const hello = await agent.hello(scope)
    if (hello) requireScreen(hello)
    return hello?.display === 'up' && hello.browser === 'up'
  }

  async function attachEgress(row: SessionRow, lease: Lease, scope: Scope): Promise<void> {
    if (egress.isAttached(lease.id)) return
    const policy = egressPolicyOf(providerDefinition.parse(JSON.parse(row.provider_definition)))
    egress.attach({ machine: lease.id, session: row.id }, policy, await deps.agentOf(lease).egress(scope))
  }
}
