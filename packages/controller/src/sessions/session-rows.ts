import { AppError, type Clock } from '@anteroom/base'
import {
  captureSummary,
  failure,
  type QueuePlace,
  type Session,
  type SessionStatus,
  type StageName,
  stageNames,
} from '@anteroom/contract'
import type { Audit } from '../audit/audit.ts'
import type { Events } from '../events/events.ts'
import type { Db, Row, Store, Tx } from '../store/store.ts'
import { mayBecome } from './state.ts'

export type SessionRow = Row<'sessions'>

type Change = Partial<
  Pick<
    SessionRow,
    | 'outcome'
    | 'browser_vm_id'
    | 'vm_ip'
    | 'vnc_url'
    | 'image_id'
    | 'machine_origin'
    | 'failure'
    | 'captured'
    | 'first_connect_expires_at'
    | 'ended_at'
  >
>

/**
 * Reads and changes session rows. Every change of state checks the transition table and the version that was read, and
 * writes its stage and its event in the same transaction.
 */
export interface SessionRows {
  /** @throws AppError not_found */
  load(db: Db, id: string): Promise<SessionRow>
  resource(db: Db, row: SessionRow): Promise<Session>
  /** In the same order. */
  resources(db: Db, rows: readonly SessionRow[]): Promise<Session[]>
  /** In a transaction of the caller's. @throws AppError session_not_ready when the row has changed since it was read */
  transition(tx: Tx, row: SessionRow, to: SessionStatus, stage: StageName | null, change?: Change): Promise<SessionRow>
  /** A transition alone in a transaction of its own. */
  move(row: SessionRow, to: SessionStatus, stage: StageName | null, change?: Change): Promise<SessionRow>
  /** The running stage ends and this one begins; no effect when it has begun already. */
  enterStage(id: string, stage: StageName): Promise<void>
  /** Did it ever come to this stage? */
  hasBegun(id: string, stage: StageName): Promise<boolean>
}

interface RowsParts {
  readonly store: Store
  readonly events: Events
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
}

export function createSessionRows(
  { store, events, audit, clock }: RowsParts,
  placeOf: (row: SessionRow) => QueuePlace | null,
): SessionRows {
  async function stageIn(tx: Tx, id: string, stage: StageName | null): Promise<void> {
    const now = clock.now()
    const running = await tx
      .selectFrom('stages')
      .selectAll()
      .where('session_id', '=', id)
      .where('ended_at', 'is', null)
      .execute()
    if (stage !== null && running.some((row) => row.name === stage)) return
    await tx
      .updateTable('stages')
      .set({ ended_at: now })
      .where('session_id', '=', id)
      .where('ended_at', 'is', null)
      .execute()
    if (stage === null) return
    await tx
      .insertInto('stages')
      .values({ session_id: id, name: stage, started_at: now, ended_at: null })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    await events.append(tx, id, 'stage', { name: stage })
  }

  async function transition(
    tx: Tx,
    row: SessionRow,
    to: SessionStatus,
    stage: StageName | null,
    change: Change = {},
  ): Promise<SessionRow> {
    if (!mayBecome(row.status, to))
      throw new AppError('session_not_ready', { detail: `${row.status} cannot become ${to}` })
    const updated = await tx
      .updateTable('sessions')
      // Waiting for a person belongs to one state: each change begins without it.
      .set({ first_connect_expires_at: null, idle_expires_at: null, ...change })
      .set({ status: to, version: row.version + 1, attempt: 0, not_before: 0 })
      .where('id', '=', row.id)
      .where('version', '=', row.version)
      .returningAll()
      .executeTakeFirst()
    if (!updated) throw new AppError('session_not_ready', { detail: `${row.id} has changed meanwhile` })
    await stageIn(tx, row.id, stage)
    const code = updated.failure === null ? null : failure.parse(JSON.parse(updated.failure)).code
    await events.append(tx, row.id, 'status', { status: to, outcome: updated.outcome, ...(code !== null && { code }) })
    if (to === 'ended')
      await audit.record(tx, {
        action: 'session.ended',
        target: { kind: 'session', id: row.id },
        details: { outcome: updated.outcome, code },
      })
    return updated
  }

  const rows: SessionRows = {
    async load(db, id) {
      const row = await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
      if (!row) throw new AppError('not_found')
      return row
    },
    async resource(db, row) {
      const stages = await db.selectFrom('stages').selectAll().where('session_id', '=', row.id).execute()
      return toResource(row, stages, placeOf(row))
    },
    async resources(db, found) {
      if (found.length === 0) return []
      const ids = found.map(({ id }) => id)
      const stages = await db.selectFrom('stages').selectAll().where('session_id', 'in', ids).execute()
      const bySession = Map.groupBy(stages, (stage) => stage.session_id)
      return found.map((row) => toResource(row, bySession.get(row.id) ?? [], placeOf(row)))
    },
    transition,
    async move(row, to, stage, change) {
      const moved = await store.transaction((tx) => transition(tx, row, to, stage, change))
      events.notify(row.id)
      return moved
    },
    async enterStage(id, stage) {
      await store.transaction((tx) => stageIn(tx, id, stage))
      events.notify(id)
    },
    async hasBegun(id, stage) {
      const begun = store.db.selectFrom('stages').select('name').where('session_id', '=', id).where('name', '=', stage)
      return (await begun.limit(1).execute()).length > 0
    },
  }
  return rows
}

const time = (ms: number): string => new Date(ms).toISOString()
const timeOrNull = (ms: number | null): string | null => (ms === null ? null : time(ms))

/** Several stages may begin in the same millisecond; their order is that of the story. */
const inOrder = (stages: readonly Row<'stages'>[]): Row<'stages'>[] =>
  stages.toSorted((a, b) => stageNames.indexOf(a.name) - stageNames.indexOf(b.name))

function toResource(row: SessionRow, stages: readonly Row<'stages'>[], queue: QueuePlace | null): Session {
  return {
    id: row.id,
    project_id: row.project_id,
    provider: row.provider,
    subject: row.subject,
    status: row.status,
    outcome: row.outcome,
    queue,
    browser_vm_id: row.browser_vm_id,
    vm_ip: row.vm_ip,
    vnc_url: row.vnc_url,
    image_id: row.image_id,
    machine_origin: row.machine_origin,
    stages: inOrder(stages).map((stage) => ({
      name: stage.name,
      started_at: time(stage.started_at),
      duration_ms: stage.ended_at === null ? null : Math.max(0, stage.ended_at - stage.started_at),
    })),
    failure: row.failure === null ? null : failure.parse(JSON.parse(row.failure)),
    captured: row.captured === null ? null : captureSummary.parse(JSON.parse(row.captured)),
    connection_id: row.connection_id,
    return_url: row.return_url,
    created_at: time(row.created_at),
    expires_at: time(row.expires_at),
    may_extend_until: time(row.may_extend_until ?? row.expires_at),
    first_connect_expires_at: timeOrNull(row.first_connect_expires_at),
    idle_expires_at: timeOrNull(row.idle_expires_at),
    ended_at: timeOrNull(row.ended_at),
  }
}
