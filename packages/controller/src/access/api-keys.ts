import { type Clock, newId, newToken, Secret } from '@anteroom/base'
import { idPrefixes, keyScope, keyScopes } from '@anteroom/contract'
import { z } from 'zod'
import type { Audit } from '../audit/audit.ts'
import type { NewRow, Row, Store } from '../store/store.ts'
import { readOperatorKey, writeOperatorKey } from './operator-key-file.ts'
import { matchesHash, secretHash } from './secret-hash.ts'

export type KeyRow = Row<'api_keys'>

/** One secret of a key: after a rotation the same key has another. */
export interface HeldKey {
  readonly id: string
  readonly hash: string
}

/** `ark_<id>_<secret>`: secret scanners recognise the prefix; the id finds the row, the secret is compared apart from it. */
const keyShape = /^ark_([a-z2-7]{24})_[A-Za-z0-9_-]{43}$/

/** A write for every request would make each wait for the disk. */
const noteUseEveryMs = 60_000

/** A new secret of the key with this id, and what is kept of it. */
export function newSecret(id: string): { readonly secret: Secret<string>; readonly hash: string } {
  const bearer = `ark_${id.slice(idPrefixes.key.length + 1)}_${newToken()}`
  return { secret: new Secret(bearer), hash: secretHash(bearer) }
}

/** Until when (ms since 1970) this secret of the key opens anything; 0: not at all. */
export function opensUntil(row: KeyRow, hash: string): number {
  const end = row.expires_at ?? Number.POSITIVE_INFINITY
  if (row.revoked_at !== null) return 0
  if (hash === row.hash) return end
  return hash === row.previous_hash ? Math.min(row.previous_expires_at ?? 0, end) : 0
}

/** Which key a secret is of, and the operator's in its file. */
export class ApiKeys {
  readonly #store: Store
  readonly #clock: Clock
  /** When use of a key was last noted, or tried to be: a database that does not answer is not asked for every request. */
  readonly #notedAt = new Map<string, number>()
  readonly #audit: Pick<Audit, 'record'>

  constructor(store: Store, clock: Clock, audit: Pick<Audit, 'record'>) {
    this.#store = store
    this.#clock = clock
    this.#audit = audit
  }

  /** undefined alike for what is unknown, expired and revoked; both secrets are always compared, and judged only then. */
  async find(bearer: string): Promise<{ readonly row: KeyRow; readonly hash: string } | undefined> {
    const [, id] = keyShape.exec(bearer) ?? []
    if (!id) return undefined
    const row = await this.#store.db
      .selectFrom('api_keys')
      .selectAll()
      .where('id', '=', `${idPrefixes.key}_${id}`)
      .executeTakeFirst()
    const isCurrent = matchesHash(bearer, row?.hash)
    const isPrevious = matchesHash(bearer, row?.previous_hash ?? undefined)
    if (!row || !(isCurrent || isPrevious)) return undefined
    // A key that sees every project is the operator's, or it is none.
    if (row.project_id === null && !scopesOf(row).includes('operator')) return undefined
    const hash = secretHash(bearer)
    return opensUntil(row, hash) > this.#clock.now() ? { row, hash } : undefined
  }

  /** Nobody waits for it: what cannot be written now is written at the next use. */
  noteUse({ id, last_used_at }: KeyRow): void {
    const now = this.#clock.now()
    if (now - Math.max(last_used_at ?? 0, this.#notedAt.get(id) ?? 0) < noteUseEveryMs) return
    this.#notedAt.set(id, now)
    void this.#store.db
      .updateTable('api_keys')
      .set({ last_used_at: now })
      .where('id', '=', id)
      .execute()
      .catch(() => {})
  }

  /** A key that others may have read, or that this database does not know, is replaced and the old one forgotten. */
  async ensureOperatorKey(path: string): Promise<void> {
    const current = await readOperatorKey(path)
    const found = current === undefined ? undefined : await this.find(current)
    if (found?.row.in_file === 1) return await this.#grantEveryScope(found.row.id)
    const id = newId('key')
    const { secret, hash } = newSecret(id)
    await this.#store.transaction(async (tx) => {
      const old = await tx.deleteFrom('api_keys').where('in_file', '=', 1).returning('id').execute()
      for (const row of old)
        await this.#audit.record(tx, { action: 'key.revoked', target: { kind: 'key', id: row.id } })
      const made = {
        name: "the operator's, in operator.key",
        scopes: keyScopes,
        created_at: this.#clock.now(),
        project_id: null,
      }
      await tx
        .insertInto('api_keys')
        .values({ ...keyValues({ id, hash, ...made }), in_file: 1 })
        .execute()
      await this.#audit.record(tx, {
        action: 'key.created',
        target: { kind: 'key', id },
        details: { scopes: keyScopes.join(' '), in_file: true },
      })
    })
    // After the row: whoever finds the file finds a key that works. A crash in between is mended by the next start.
    await writeOperatorKey(path, secret.expose())
  }

  /** A newer version may know more scopes than the one that made the key. */
  async #grantEveryScope(id: string): Promise<void> {
    await this.#store.db
      .updateTable('api_keys')
      .set({ scopes: JSON.stringify(keyScopes) })
      .where('id', '=', id)
      .execute()
  }
}

type Made = Pick<KeyRow, 'id' | 'project_id' | 'name' | 'hash' | 'created_at'> & {
  readonly scopes: readonly string[]
  readonly expires_at?: number | null
}

/** The row of a new key. */
export const keyValues = ({ scopes, ...made }: Made): NewRow<'api_keys'> => ({
  ...made,
  // In the order of the list, each once.
  scopes: JSON.stringify(keyScopes.filter((scope) => scopes.includes(scope))),
})

export const scopesOf = (row: Pick<KeyRow, 'scopes'>) => z.array(keyScope).parse(JSON.parse(row.scopes))
