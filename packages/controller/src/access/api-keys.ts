import { type Clock, newId, newToken } from '@anteroom/base'
import { idPrefixes, keyScope, keyScopes } from '@anteroom/contract'
import { z } from 'zod'
import type { Row, Store } from '../store/store.ts'
import { readOperatorKey, writeOperatorKey } from './operator-key-file.ts'
import { matchesHash, secretHash } from './secret-hash.ts'

/** `ark_<id>_<secret>`: secret scanners recognise the prefix; the id finds the row, the secret is compared apart from it. */
const keyShape = /^ark_([a-z2-7]{24})_[A-Za-z0-9_-]{43}$/

/** Reserved: the one key of this name is the one in the operator's file. */
const operatorKeyName = 'operator key file'

export class ApiKeys {
  readonly #store: Store
  readonly #clock: Clock

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  async find(bearer: string): Promise<Row<'api_keys'> | undefined> {
    const [, id] = keyShape.exec(bearer) ?? []
    if (!id) return undefined
    const row = await this.#store.db
      .selectFrom('api_keys')
      .selectAll()
      .where('id', '=', `${idPrefixes.key}_${id}`)
      .executeTakeFirst()
    return matchesHash(bearer, row?.hash) ? row : undefined
  }

  /** A key that others may have read, or that this database does not know, is replaced and the old one revoked. */
  async ensureOperatorKey(path: string): Promise<void> {
    const current = await readOperatorKey(path)
    const row = current === undefined ? undefined : await this.find(current)
    if (row?.name === operatorKeyName) return await this.#grantEveryScope(row.id)
    const id = newId('key')
    const key = `ark_${id.slice(idPrefixes.key.length + 1)}_${newToken()}`
    await this.#store.transaction(async (tx) => {
      await tx.deleteFrom('api_keys').where('name', '=', operatorKeyName).execute()
      await tx
        .insertInto('api_keys')
        .values({
          id,
          name: operatorKeyName,
          hash: secretHash(key),
          scopes: JSON.stringify(keyScopes),
          created_at: this.#clock.now(),
        })
        .execute()
    })
    // After the row: whoever finds the file finds a key that works. A crash in between is mended by the next start.
    await writeOperatorKey(path, key)
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

export const scopesOf = (row: Row<'api_keys'>) => z.array(keyScope).parse(JSON.parse(row.scopes))
