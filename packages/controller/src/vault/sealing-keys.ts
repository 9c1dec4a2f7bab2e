import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Clock } from '@anteroom/base'
import type { SealingKey } from '@anteroom/contract'
import { calculateJwkThumbprint } from 'jose'
import type { Row, Store, Tx } from '../store/store.ts'
import type { Envelope } from './envelope.ts'

export interface SealingKeyPair {
  readonly kid: string
  readonly x: string
  readonly privateKey: KeyObject
}

/** One X25519 pair for each session. The private half is wrapped at rest and gone when the session has its credential. */
export class SealingKeys {
  readonly #envelope: Envelope
  readonly #rootId: string
  readonly #store: Store
  readonly #clock: Clock

  constructor(envelope: Envelope, rootId: string, store: Store, clock: Clock) {
    this.#envelope = envelope
    this.#rootId = rootId
    this.#store = store
    this.#clock = clock
  }

  /** The pair of the session, made when it has none. Throws when the row was changed behind the vault's back. */
  async ensure(sessionId: string): Promise<SealingKeyPair> {
    const known = await this.find(sessionId)
    if (known) return known
    const { x, kid, pkcs8 } = await generate()
    try {
      await this.#store.db
        .insertInto('sealing_keys')
        .values({
          session_id: sessionId,
          kid,
          public_x: x,
          wrapped_private: this.#envelope.wrap(pkcs8, binding(sessionId, kid, x)),
          wrapping_key_id: this.#rootId,
          created_at: this.#clock.now(),
        })
        .onConflict((conflict) => conflict.column('session_id').doNothing())
        .execute()
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

  /** The binding covers the public half: whoever can write to the database still cannot put a key of their own there. */
  #unwrap(row: Row<'sealing_keys'>): SealingKeyPair {
    const pkcs8 = this.#envelope.unwrap(row.wrapped_private, binding(row.session_id, row.kid, row.public_x))
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
