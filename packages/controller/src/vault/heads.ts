import { createHmac, timingSafeEqual } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Secret } from '@anteroom/base'
import { sql } from 'kysely'
import type { Db, Store, Tx } from '../store/store.ts'

/** What a connection's newest credential is. */
export interface Head {
  readonly connectionId: string
  readonly provider: string
  readonly subject: string
  readonly version: number
  readonly entryId: string
}

interface State {
  readonly sequence: number
  readonly heads: number
  readonly sum: string
}

const modulus = 1n << 256n
/** So often it is tried beside those who write; then they wait. */
const looksBeside = 5

/**
 * What notices that rows were put back. Each connection carries a MAC of its newest version: nobody without the vault's key makes
 * one. An old one was true once, so one row for all of them holds a count of every change, and the sum of all heads in force, under a
 * MAC too: one connection that was put back as a whole does not add up any more. That the whole database was put back shows against
 * what was remembered outside of it (vault-mark.ts, and this process while it runs).
 */
export class Heads {
  readonly #key: Secret<Buffer>
  #sequence = 0

  constructor(key: Secret<Buffer>) {
    this.#key = key
  }

  /** The newest count that is known. */
  get sequence(): number {
    return this.#sequence
  }

  of(head: Head): string {
    return this.mac(partsOf(head))
  }

  mac(parts: readonly (string | number)[]): string {
    return createHmac('sha256', this.#key.expose()).update(JSON.stringify(parts)).digest('base64url')
  }

  isMac(mac: string | null, parts: readonly (string | number)[]): boolean {
    const [given, right] = [Buffer.from(mac ?? ''), Buffer.from(this.mac(parts))]
    return given.length === right.length && timingSafeEqual(given, right)
  }

  isTrue(head: Head, mac: string | null): boolean {
    return this.isMac(mac, partsOf(head))
  }

  /** Counts a change, in its transaction: one head goes, one comes. Gives the new count, see `remember`. */
  async change(tx: Tx, { gone, come }: { readonly gone?: string | null; readonly come?: string }): Promise<number> {
    const { sequence, heads, sum } = await this.state(tx)
    const total = BigInt(`0x${sum}`) + (come ? this.#summand(come) : 0n) - (gone ? this.#summand(gone) : 0n)
    await this.#write(tx, {
      sequence: sequence + 1,
      heads: heads + (come ? 1 : 0) - (gone ? 1 : 0),
      sum: hex(total),
    })
    return sequence + 1
  }

  /** The count after a transaction that was committed: a database that says less was put back. */
  remember(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence)
  }

  /** Throws when the row was changed by somebody else, or is older than what this process has seen. */
  async state(db: Db): Promise<State> {
    const row = await db.selectFrom('vault_state').selectAll().executeTakeFirst()
    if (!row) throw new Error('the row that counts all changes of the vault is gone')
    const { sequence, heads, sum, mac } = row
    if (!this.isMac(mac, ['state', sequence, heads, sum]))
      throw new Error('the row that counts all changes of the vault was changed')
    if (sequence < this.#sequence)
      throw new Error(`the database was put back: it is at change ${sequence}, and ${this.#sequence} was written`)
    return { sequence, heads, sum }
  }

  /** Whether all connections together are as the vault left them; what is wrong otherwise. Reads all of them. */
  async audit({ db, transaction }: Pick<Store, 'db' | 'transaction'>): Promise<string | undefined> {
    for (let look = 0; look < looksBeside; look++) {
      const { sequence } = await this.state(db)
      const wrong = await this.#judge(db)
      // What was changed meanwhile cannot add up.
      if (wrong === undefined || (await this.state(db)).sequence === sequence) return wrong
    }
    return await transaction((tx) => this.#judge(tx))
  }

  async #judge(db: Db): Promise<string | undefined> {
    const { heads, sum } = await this.state(db)
    const found = await this.#total(db)
    if (found.lost > 0) return `connections that lost their newest credential: ${found.lost}`
    if (found.heads === heads && found.sum === sum) return undefined
    return found.heads === heads
      ? 'a connection, or more than one, was put back to an older version'
      : `${found.heads} connections have a credential, and it should be ${heads}: some were put back or taken away`
  }

  /** Takes what is there as it is: at the beginning, and when the operator says so. Gives the count. */
  async accept(tx: Tx, sequence: number): Promise<number> {
    const { heads, sum } = await this.#total(tx)
    await this.#write(tx, { sequence, heads, sum })
    return sequence
  }

  /** `lost`: connections whose newest credential is not there. Between pages everybody else has their turn. */
  async #total(db: Db): Promise<Pick<State, 'heads' | 'sum'> & { readonly lost: number }> {
    let [total, heads, lost] = [0n, 0, 0]
    for (let after = ''; ; ) {
      const { rows } = await sql<{ id: string; head: string | null; isLost: number }>`
        select n.id, n.head, n.version > 0 and not exists
          (select 1 from credentials c where c.connection_id = n.id and c.version = n.version) as isLost
        from connections n where n.id > ${after} order by n.id limit 500`.execute(db)
      for (const { head, isLost } of rows) {
        lost += isLost
        if (head === null) continue
        heads += 1
        total += this.#summand(head)
      }
      const last = rows.at(-1)
      if (!last) return { heads, sum: hex(total), lost }
      after = last.id
      await setImmediate()
    }
  }

  /** Nobody who sees heads knows their summands, and so which others would add up to the same. */
  #summand(head: string): bigint {
    return BigInt(`0x${createHmac('sha256', this.#key.expose()).update(`summand ${head}`).digest('hex')}`)
  }

  async #write(tx: Tx, { sequence, heads, sum }: State): Promise<void> {
    const row = { sequence, heads, sum, mac: this.mac(['state', sequence, heads, sum]) }
    await tx
      .insertInto('vault_state')
      .values({ id: 1, ...row })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
      .execute()
  }
}

const partsOf = ({ connectionId, provider, subject, version, entryId }: Head) =>
  ['head', connectionId, provider, subject, version, entryId] as const

const hex = (sum: bigint): string => (((sum % modulus) + modulus) % modulus).toString(16).padStart(64, '0')

/** Writes the head of every connection that has a credential and none yet: once, when a database of before heads is opened. */
export async function writeFirstHeads(tx: Tx, heads: Heads): Promise<void> {
  for (let after = ''; ; ) {
    const { rows } = await sql<Head>`
      select n.id as connectionId, n.provider, n.subject, n.version, c.id as entryId
      from connections n join credentials c on c.connection_id = n.id and c.version = n.version
      where n.id > ${after} order by n.id limit 500`.execute(tx)
    for (const head of rows)
      await tx
        .updateTable('connections')
        .set({ head: heads.of(head) })
        .where('id', '=', head.connectionId)
        .execute()
    const last = rows.at(-1)
    if (!last) return
    after = last.connectionId
  }
}
