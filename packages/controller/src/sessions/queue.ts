import { AppError } from '@anteroom/base'
import { type QueuePlace, type QueueReason, queueReasons } from '@anteroom/contract'
import { type Db, notEnded, type Row } from '../store/store.ts'
import { enoughHolds, recentHolds } from './peers.ts'
import { type Line, lineUp } from './queue-order.ts'
import type { SessionDeps } from './session-deps.ts'
import { type History, restMs, waitsMs } from './wait-estimate.ts'

/** What was seen of a session that has not ended. */
type Open = Pick<
  Row<'sessions'>,
  | 'id'
  | 'status'
  | 'principal'
  | 'project_id'
  | 'subject'
  | 'provider'
  | 'created_at'
  | 'expires_at'
  | 'idle_expires_at'
  | 'first_connect_expires_at'
  | 'end_requested'
> & {
  /** Since when it has a machine. */
  readonly held_since: number | null
}

/**
 * Who waits for a machine, in which order, for how long yet, and why. What it knows of the rows is of the last look; whoever comes
 * in between stands in line at once.
 */
export interface Queue {
  /** Reads the rows; gives the ids of those who may be admitted, in turn. */
  look(): Promise<readonly string[]>
  /** Sessions that have a machine. */
  readonly running: number
  /** Its turn has come. */
  admitted(id: string): void
  /** Nobody can be admitted for this reason; undefined: somebody can. */
  hold(reason: AppError | undefined): void
  /** null: not in the queue, or nobody has looked since the start. */
  placeOf(row: Omit<Open, 'held_since'>): QueuePlace | null
  /** What it waited for, also when it has just left; undefined: only for its turn. */
  whyWaiting(id: string): AppError | undefined
  /** In how many seconds the first of these will have ended, by history and by their limits; 1 where nothing tells. */
  secondsUntilOneEnds(isOne: (open: Open) => boolean): number
}

export function createQueue({ store, clock, config }: Pick<SessionDeps, 'store' | 'clock' | 'config'>): Queue {
  let open: readonly Open[] | undefined
  let turn = 0
  const served = new Map<string | null, number>()
  /** Why nobody can be admitted. */
  let why: AppError | undefined
  /** Of each who waited when somebody was in the line last: whoever gives up has left it already. */
  let lastWhy: ReadonlyMap<string, AppError> = new Map()
  /** Read once, and then seen. */
  let history: History | undefined
  /** Worked out when somebody asks, and until something changes. */
  let worked: { readonly line: Line<Open>; readonly places: ReadonlyMap<string, QueuePlace> } | undefined

  const waiting = (): Open[] =>
    (open ?? []).filter(({ status, end_requested }) => status === 'queued' && end_requested === null)
  const holding = (): Open[] => (open ?? []).filter(({ held_since }) => held_since !== null)

  function change(now: readonly Open[] | undefined = open): void {
    open = now
    worked = undefined
  }

  function noteEnds(now: readonly Open[]): void {
    const ids = new Set(now.map(({ id }) => id))
    const ended = holding().filter(({ id }) => !ids.has(id))
    const holds = ended.map(({ held_since }) => clock.now() - (held_since ?? clock.now()))
    history = [...holds, ...(history ?? [])].slice(0, enoughHolds)
  }

  const restOf = (session: Open): number => {
    const now = clock.now()
    const { held_since, expires_at, idle_expires_at, first_connect_expires_at } = session
    const limitMs = Math.min(expires_at, idle_expires_at ?? expires_at, first_connect_expires_at ?? expires_at) - now
    return held_since === null ? limitMs : restMs(now - held_since, limitMs, history ?? [])
  }

  function workOut() {
    if (worked) return worked
    const running = holding()
    const line = lineUp({ waiting: waiting(), holding: running, limits: config.limits, turn, served })
    const free = why ? 0 : Math.max(0, config.limits.max_machines - running.length)
    const moving = { free, rests: running.map(restOf), history: history ?? [] }
    const waits = waitsMs(line.inTurn.length, moving)
    const held = queueReasons.find((code) => code === why?.code) ?? null
    const places = new Map<string, QueuePlace>()
    const give = (id: string, waitMs: number | undefined, reason: QueueReason | null): void => {
      const estimated_wait_seconds = waitMs === undefined ? null : Math.ceil(waitMs / 1000)
      places.set(id, { position: places.size + 1, estimated_wait_seconds, reason })
    }
    for (const [index, { id }] of line.inTurn.entries()) give(id, waits?.[index], held)
    for (const [{ id }, reason] of line.barred) give(id, undefined, reason)
    worked = { line, places }
    return worked
  }

  return {
    async look() {
      const now = await openSessions(store.db)
      history ??= await recentHolds(store.db)
      noteEnds(now)
      change(now)
      return workOut().line.inTurn.map(({ id }) => id)
    },

    get running() {
      return holding().length
    },

    admitted(id) {
      served.set(open?.find((session) => session.id === id)?.principal ?? null, turn++)
      change(
        open?.map((session) =>
          session.id === id ? { ...session, status: 'starting' as const, held_since: clock.now() } : session,
        ),
      )
    },

    hold(reason) {
      if (reason?.code !== why?.code) change()
      why = reason
      const { inTurn, barred } = workOut().line
      if (inTurn.length + barred.length === 0) return
      lastWhy = new Map([
        ...(reason ? inTurn.map(({ id }) => [id, reason] as const) : []),
        ...barred.map(([{ id }, code]) => [id, new AppError(code)] as const),
      ])
    },

    placeOf(row) {
      if (!open || row.status !== 'queued' || row.end_requested !== null) return null
      if (open.every(({ id }) => id !== row.id)) change([...open, { ...row, held_since: null }])
      return workOut().places.get(row.id) ?? null
    },

    whyWaiting: (id) => lastWhy.get(id),

    secondsUntilOneEnds(isOne) {
      const rests = (open ?? []).filter(isOne).map(restOf)
      return rests.length === 0 ? 1 : Math.max(1, Math.ceil(Math.min(...rests) / 1000))
    },
  }
}

/** In the order of asking. */
async function openSessions(db: Db): Promise<Open[]> {
  const found = await db
    .selectFrom('sessions')
    .leftJoin('stages', (join) => join.onRef('stages.session_id', '=', 'sessions.id').on('stages.name', '=', 'network'))
    .select([
      ...(['id', 'status', 'principal', 'project_id', 'subject', 'provider', 'created_at', 'end_requested'] as const),
      ...(['expires_at', 'idle_expires_at', 'first_connect_expires_at', 'stages.started_at as held_since'] as const),
    ])
    .where(notEnded)
    .execute()
  return found.sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1))
}
