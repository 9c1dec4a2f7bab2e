import { AppError, type Scope } from '@anteroom/base'
import type {
  CreatedSession,
  CreateSession,
  Diagnosis,
  ExtendSession,
  Outcome,
  Session,
  SessionEgress,
  SessionLog,
  SessionStatus,
} from '@anteroom/contract'
import type { RfbEndpoint } from '../live/live.ts'
import { type Reach, within } from '../store/store.ts'
import { type Agreement, createAgreement } from './agreement.ts'
import { type CreateOptions, insertSession } from './create-session.ts'
import { diagnose } from './diagnosis.ts'
import { evidenceOf } from './farewell.ts'
import { createLimits } from './limits.ts'
import { listSessions } from './list-sessions.ts'
import { similarTo, usualDurations } from './peers.ts'
import { createQueue } from './queue.ts'
import { createReconciler } from './reconciler.ts'
import type { SessionDeps } from './session-deps.ts'
import { gatherSessionLog } from './session-log.ts'
import { createSessionRows } from './session-rows.ts'
import { isLive, isOpen } from './state.ts'
import { sweepHost } from './sweep.ts'

export type { SessionDeps } from './session-deps.ts'
export { gatherSessionLog } from './session-log.ts'

export interface SessionFilter {
  readonly project_id?: string
  readonly status?: SessionStatus
  readonly provider?: string
  readonly subject?: string
  readonly cursor?: string
  readonly limit: number
}

/** Those within somebody's reach. These write intent; the reconciler acts. */
export interface ReachedSessions extends Agreement {
  /**
   * Answers at once; never waits for a machine. It belongs to the project within reach; for the operator, who reaches all, to that of
   * `connection_id`, else to the default one.
   * @throws AppError provider_unknown, provider_invalid, idempotency_conflict, image_missing, and with a time to try again
   *   capacity_exhausted, subject_limit_reached, key_limit_reached, provider_limit_reached
   */
  create(request: CreateSession, options: CreateOptions): Promise<CreatedSession>
  /** @throws AppError not_found */
  get(id: string): Promise<Session>
  /** What happened and what to do, for the operator; of a session that runs, how far it is. @throws AppError not_found */
  diagnosis(id: string, scope: Scope): Promise<Diagnosis>
  /** All that was written about it, by time, for the operator. @throws AppError not_found */
  logs(id: string, scope: Scope): Promise<SessionLog>
  /** Where its machine went, or wanted to go. @throws AppError not_found */
  egress(id: string): Promise<SessionEgress>
  list(filter: SessionFilter): Promise<{ items: Session[]; next_cursor: string | null }>
  /** Idempotent; no effect on a session that is ending or has ended. */
  requestEnd(id: string, outcome: Extract<Outcome, 'cancelled' | 'expired'>): Promise<Session>
  /** "I am signed in". @throws AppError session_not_ready, session_over */
  requestCapture(id: string): Promise<Session>
  /** Somebody is there, and wants more time. @throws AppError extension_refused, session_over */
  extend(id: string, how: ExtendSession): Promise<Session>
  /** Where the live view connects. @throws AppError session_not_ready, session_over */
  rfbEndpoint(id: string): Promise<RfbEndpoint>
}

/** Attempts to sign in. By itself it reaches all of them. */
export interface Sessions extends ReachedSessions {
  of(reach: Reach): ReachedSessions
  /** Removes what nobody holds from the host, now and not within a minute. */
  sweep(scope: Scope): Promise<void>
  /** Moves every session along until `scope` is over; resolves when nothing is in the middle of a step. */
  run(scope: Scope): Promise<void>
}

export function createSessions(deps: SessionDeps): Sessions {
  const { store, audit } = deps
  const queue = createQueue(deps)
  const rows = createSessionRows(deps, queue.placeOf)
  const limits = createLimits(deps, rows)
  const reconciler = createReconciler(deps, { rows, limits, queue })

  const of = (reach: Reach): ReachedSessions => {
    const db = within(store.db, reach)
    const sessions: ReachedSessions = {
      ...createAgreement(deps, reach),

      async create(request, options) {
        const { session, secret } = await insertSession({ ...deps, queue }, rows, request, { ...options, reach })
        deps.events.notify(session.id)
        reconciler.kick()
        return { ...session, hosted_url: `${deps.publicUrl()}/connect/${session.id}#entry=${secret}` }
      },

      get: async (id) => await rows.resource(db, await rows.load(db, id)),

      async diagnosis(id, scope) {
        const session = await sessions.get(id)
        return diagnose({
          ...{ session, ...(await evidenceOf(deps, session, scope)) },
          usualMs: await usualDurations(db, session.machine_origin),
          similar: await similarTo(db, { id, code: session.failure?.code ?? null }, deps.clock.now()),
          memoryMiB: deps.config.vmm.memory_mib,
          nowMs: deps.clock.now(),
        })
      },

      async logs(id, scope) {
        const session = await sessions.get(id)
        return await gatherSessionLog({
          ...{ sessionId: id, events: await deps.events.all(id) },
          evidenceOf: () => evidenceOf(deps, session, scope),
          recordsOf: (ids) => deps.readLogOf(ids, new Date(session.created_at)),
        })
      },

      async egress(id) {
        await rows.load(db, id)
        return { session_id: id, hosts: await deps.egress.hostsOf(id) }
      },

      list: (filter) => listSessions(db, rows, filter),

      async requestEnd(id, outcome) {
        await rows.load(db, id)
        const isNews = await store.transaction(async (tx) => {
          const { numUpdatedRows } = await within(tx, reach)
            .updateTable('sessions')
            .set({ end_requested: outcome })
            .where('id', '=', id)
            .where('end_requested', 'is', null)
            .where('status', 'not in', ['ending', 'ended'])
            .executeTakeFirstOrThrow()
          if (numUpdatedRows === 0n) return false
          await audit.record(tx, { action: 'session.cancelled', target: { kind: 'session', id }, details: { outcome } })
          return true
        })
        // Asked again, it goes on with the teardown that it is in.
        if (isNews) reconciler.interrupt(id)
        return await sessions.get(id)
      },

      async requestCapture(id) {
        const row = await rows.load(db, id)
        if (!isOpen(row.status)) throw new AppError('session_over')
        if (row.status !== 'ready' && row.status !== 'capturing')
          throw new AppError('session_not_ready', { detail: `the session is ${row.status}; it must be ready` })
        await store.transaction(async (tx) => {
          const { numUpdatedRows } = await within(tx, reach)
            .updateTable('sessions')
            // From here on nobody is waited for.
            .set({ capture_requested: 1, first_connect_expires_at: null, idle_expires_at: null })
            .where('id', '=', id)
            .where('status', '=', 'ready')
            .where('capture_requested', '=', 0)
            .executeTakeFirstOrThrow()
          if (numUpdatedRows > 0n)
            await audit.record(tx, { action: 'session.capture_requested', target: { kind: 'session', id } })
        })
        return await sessions.get(id)
      },

      async extend(id, how) {
        await limits.extend(id, how, reach)
        deps.events.notify(id)
        return await sessions.get(id)
      },

      async rfbEndpoint(id) {
        const row = await rows.load(db, id)
        // Asked to end, it is over for whoever wants to look, before anything is taken down.
        if (!isOpen(row.status) || row.end_requested !== null) throw new AppError('session_over')
        const lease =
          isLive(row.status) && row.status !== 'vm_created' ? await deps.leases.ofSession(store.db, id) : undefined
        if (!lease)
          throw new AppError('session_not_ready', { detail: `the session is ${row.status}; it must be ready` })
        return deps.rfbOf(lease)
      },
    }
    return sessions
  }

  return {
    of,
    ...of('everything'),
    sweep: (scope) => sweepHost(deps, scope),
    run: (scope) => reconciler.run(scope),
  }
}
