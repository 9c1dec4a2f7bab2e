import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Clock } from '@anteroom/base'
import type { SealingKey } from '@anteroom/contract'
import { calculateJwkThumbprint } from 'jose'
import type { Row, Store, Tx } from '../store/store.ts'
import { unreadable } from './entry-form.ts'
import type { KeyRing } from './key-ring.ts'

export interface SealingKeyPair {
  readonly kid: string
  readonly x: string
  readonly privateKey: KeyObject
}

/** One X25519 pair for each session. The private half is wrapped at rest and gone when the session has its credential. */
export class SealingKeys {
  readonly #ring: KeyRing
  readonly #store: Store
  readonly #clock: Clock

  constructor(ring: KeyRing, store: Store, clock: Clock) {
    this.#ring = ring
    this.#store = store
    this.#clock = clock
  }

  /** The pair of the session, made when it has none. Throws when the row was changed behind the vault's back. */
  async ensure(sessionId: string): Promise<SealingKeyPair> {
    const known = await this.find(sessionId)
    if (known) return known
    const { x, kid, pkcs8 } = await generate()
    try {
      // A transaction, so that no rotation ends between the wrapping and the writing.
      await this.#store.transaction(async (tx) => {
        const { id, envelope } = this.#ring.current
        const wrapped_private = envelope.wrap(pkcs8, binding(sessionId, kid, x))
        await tx
          .insertInto('sealing_keys')
          .values({
            ...{ session_id: sessionId, kid, public_x: x, created_at: this.#clock.now() },
            ...{ wrapped_private, wrapping_key_id: id },
          })
          .onConflict((conflict) => conflict.column('session_id').doNothing())
          .execute()
      })
    } finally {
      pkcs8.fill(0)
    }
    // Read back: of two callers at once one has won, and both must give its key.
    const stored = await this.find(sessionId)
    if (!stored) throw new Error(`the sealing key of ${sessionId} was discarded while it was being made`)
    return stored
  }

  async find(sessionId: string): Promise<SealingKeyPair | undefined> {
    const row = await this.#store.db
      .selectFrom('sealing_keys')
      .selectAll()
      .where('session_id', '=', sessionId)
      .executeTakeFirst()
    return row && this.#unwrap(row)
  }

  /** @returns false when there was none */
  async discard(tx: Tx, sessionId: string): Promise<boolean> {
    const { numDeletedRows } = await tx
      .deleteFrom('sealing_keys')
      .where('session_id', '=', sessionId)
      .executeTakeFirst()
    return numDeletedRows > 0n
  }

  /** Wraps up to `limit` keys of other wrapping keys under the current one. */
  async rewrapOthers(tx: Tx, limit: number): Promise<{ readonly some: boolean; readonly lost: number }> {
    const { oldIds, current } = this.#ring
    const rows = await tx
      .selectFrom('sealing_keys')
      .selectAll()
      .where('wrapping_key_id', 'in', oldIds)
      .limit(limit)
      .execute()
    let lost = 0
    for (const row of rows) {
      let change: Partial<Row<'sealing_keys'>>
      try {
        const from = this.#ring.envelopeOf(row.wrapping_key_id)
        const bound = binding(row.session_id, row.kid, row.public_x)
        change = {
          wrapped_private: current.envelope.rewrap(row.wrapped_private, from, bound),
          wrapping_key_id: current.id,
        }
      } catch {
        lost++
        change = { wrapping_key_id: unreadable }
      }
      await tx.updateTable('sealing_keys').set(change).where('session_id', '=', row.session_id).execute()
    }
    return { some: rows.length > 0, lost }
  }

  /** The binding covers the public half: whoever can write to the database still cannot put a key of their own there. */
  #unwrap(row: Row<'sealing_keys'>): SealingKeyPair {
    const envelope = this.#ring.envelopeOf(row.wrapping_key_id)
    const pkcs8 = envelope.unwrap(row.wrapped_private, binding(row.session_id, row.kid, row.public_x))
    try {
      const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
      return { kid: row.kid, x: row.public_x, privateKey }
    } finally {
      pkcs8.fill(0)
    }
  }
}

export const publicHalf = ({ kid, x }: SealingKeyPair): SealingKey => ({ kty: 'OKP', crv: 'X25519', x, kid })

async function generate(): Promise<{ x: string; kid: string; pkcs8: Buffer }> {
  const { privateKey } = generateKeyPairSync('x25519')
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
  if (!x) throw new Error('an X25519 key without its public half')
  const kid = await calculateJwkThumbprint({ kty: 'OKP', crv: 'X25519', x })
  return { x, kid, pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }) }
}

const binding = (sessionId: string, kid: string, x: string) => ['sealing key', sessionId, kid, x]
