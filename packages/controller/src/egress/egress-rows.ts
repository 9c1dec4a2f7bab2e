import type { EgressHost } from '@anteroom/contract'
import type { Db, NewRow, Store } from '../store/store.ts'
import type { EgressCount } from './egress-log.ts'

/** Adds what was counted to what is there already: of earlier, and of an earlier controller. @throws AppError store_unavailable */
export async function addCounts(store: Store, counts: ReadonlyMap<string, readonly EgressCount[]>): Promise<void> {
  const rows = [...counts].flatMap(([session, ofSession]) => ofSession.map((count) => rowOf(session, count)))
  if (rows.length === 0) return
  await store.transaction(async (tx) => {
    for (const row of rows)
      await tx
        .insertInto('egress_hosts')
        .values(row)
        .onConflict((known) =>
          known.columns(['session_id', 'host', 'port', 'result']).doUpdateSet((now) => ({
            reason: now.ref('excluded.reason'),
            connections: now('egress_hosts.connections', '+', now.ref('excluded.connections')),
            bytes_up: now('egress_hosts.bytes_up', '+', now.ref('excluded.bytes_up')),
            bytes_down: now('egress_hosts.bytes_down', '+', now.ref('excluded.bytes_down')),
            last_at: now.ref('excluded.last_at'),
          })),
        )
        .execute()
  })
}

const rowOf = (session: string, count: EgressCount): NewRow<'egress_hosts'> => ({
  session_id: session,
  host: count.host,
  port: count.port,
  result: count.result,
  reason: count.reason,
  connections: count.connections,
  bytes_up: count.bytesUp,
  bytes_down: count.bytesDown,
  first_at: count.firstAt,
  last_at: count.lastAt,
})

/** In the order in which they were first asked for. */
export async function hostsOf(db: Db, session: string): Promise<EgressHost[]> {
  const rows = await db
    .selectFrom('egress_hosts')
    .selectAll()
    .where('session_id', '=', session)
    .orderBy('first_at')
    .orderBy('host')
    .execute()
  return rows.map(({ session_id: _, host, port, first_at, last_at, ...counts }) => ({
    ...{ host: host || null, port: host === '' ? null : port, ...counts },
    ...{ first_at: new Date(first_at).toISOString(), last_at: new Date(last_at).toISOString() },
  }))
}
