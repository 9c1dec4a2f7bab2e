import type { Scope } from '@anteroom/base'
import type { Row, Store } from '../store/store.ts'
import { formOf, type Owner } from './entry-form.ts'
import type { Heads } from './heads.ts'
import type { KeyRing } from './key-ring.ts'
import { readPayload } from './sealed-credential.ts'

export interface VaultReport {
  /** Credentials, of all versions. */
  readonly entries: number
  readonly opened: number
  /** How many are wrapped under which key. */
  readonly by_key: Readonly<Record<string, number>>
  readonly current_key: string
  /** Those that do not open, the first hundred. */
  readonly unreadable: readonly {
    readonly credential_id: string
    readonly connection_id: string
    readonly why: string
  }[]
  /** What is wrong with all of them together; null: they are as the vault left them. */
  readonly put_back: string | null
}

type Queried = Pick<Store, 'db' | 'transaction'>

const page = 100
const mostNamed = 100

/** Opens every entry as a read would, and adds up what is in force. Between pages everybody else has their turn. */
export async function verifyVault(
  { store, ring, heads }: { readonly store: Queried; readonly ring: KeyRing; readonly heads: Heads },
  scope: Scope,
): Promise<VaultReport> {
  const byKey: Record<string, number> = {}
  const unreadable: VaultReport['unreadable'][number][] = []
  let [entries, opened] = [0, 0]
  for (let after = ''; ; ) {
    scope.throwIfOver()
    const rows = await readPage(store, after)
    for (const { entry, owner } of rows) {
      entries++
      byKey[entry.wrapping_key_id] = (byKey[entry.wrapping_key_id] ?? 0) + 1
      const why = await whyNot(ring, heads, entry, owner)
      if (why === undefined) opened++
      else if (unreadable.length < mostNamed)
        unreadable.push({ credential_id: entry.id, connection_id: entry.connection_id, why })
    }
    const last = rows.at(-1)
    if (!last) break
    after = last.entry.id
    await scope.clock.delay(0)
  }
  const put_back = (await heads.audit(store)) ?? null
  return { entries, opened, by_key: byKey, current_key: ring.current.id, unreadable, put_back }
}

async function whyNot(
  ring: KeyRing,
  heads: Heads,
  entry: Row<'credentials'>,
  owner: Owner,
): Promise<string | undefined> {
  try {
    const envelope = ring.envelopeOf(entry.wrapping_key_id)
    using payload = readPayload(await formOf(entry).open(envelope, entry, owner))
    if (payload.provider !== owner.provider) throw new Error('its connection was moved to another provider')
  } catch (error) {
    return error instanceof Error ? error.message : 'it does not open'
  }
  const { id: connectionId, provider, subject, version, head } = owner
  if (entry.version > version) return `its connection is at version ${version} only`
  if (entry.version < version) return undefined
  const isTrue = heads.isTrue({ connectionId, provider, subject, version, entryId: entry.id }, head)
  return isTrue ? undefined : 'its connection was changed'
}

async function readPage({ db }: Queried, after: string) {
  const rows = await db
    .selectFrom('credentials as c')
    .innerJoin('connections as n', 'n.id', 'c.connection_id')
    .selectAll('c')
    .select(['n.provider', 'n.subject', 'n.head', 'n.version as newest_version'])
    .where('c.id', '>', after)
    .orderBy('c.id')
    .limit(page)
    .execute()
  return rows.map(({ provider, subject, head, newest_version, ...entry }) => ({
    entry,
    owner: { id: entry.connection_id, provider, subject, head, version: newest_version },
  }))
}
