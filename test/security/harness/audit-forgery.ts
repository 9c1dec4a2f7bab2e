import { createHash, createHmac } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Scope, silentLog, systemClock } from '@anteroom/base'
import type { AuditEntry, AuditVerification } from '@anteroom/contract'
import {
  askedBy,
  exportOf,
  type Place,
  verifyExport,
  verifyStored,
} from '../../../packages/controller/src/audit/audit.ts'
import { auditKey, openVaultAndAudit } from '../../../packages/controller/src/open-vault-and-audit.ts'
import { openStoreIn } from '../../../packages/controller/src/store/store.ts'

/** A state directory with a real key, vault and audit, and no controller. */
export class AuditedHome {
  readonly home: string
  readonly #key: Buffer
  readonly lines: readonly string[]
  readonly checkpoint: Place

  private constructor(home: string, key: Buffer, lines: readonly string[], checkpoint: Place) {
    this.home = home
    this.#key = key
    this.lines = lines
    this.checkpoint = checkpoint
  }

  static async make(count: number): Promise<AuditedHome> {
    const home = await mkdtemp(join(tmpdir(), 'anteroom-audited-'))
    const store = await openStoreIn(home)
    const { vault, audit } = await openVaultAndAudit({ home }, { store, clock: systemClock, log: silentLog })
    for (let n = 0; n < count; n++)
      await askedBy(
        { actor: { kind: 'key', id: `key_${n % 3}` }, requestId: `req_${n}`, clientAddress: '192.0.2.1' },
        () =>
          audit.recordAlone({
            action: n % 2 === 0 ? 'session.created' : 'credential.read',
            target: { kind: 'session', id: `ses_${n}` },
            details: { version: n },
          }),
      )
    const lines: string[] = []
    for await (const chunk of exportOf(store.db, 0)) lines.push(...chunk.split('\n').filter((line) => line !== ''))
    const { seq, hash } = (await audit.checkpoint()) ?? { seq: 0, hash: '' }
    const key = auditKey(vault)
    await store.close()
    return new AuditedHome(home, key, lines, { seq, hash })
  }

  /** A copy of the database, forged; what verification then says. */
  async verifyForged(forge: (database: DatabaseSync) => void, kept: readonly Place[] = []): Promise<AuditVerification> {
    const copy = await mkdtemp(join(tmpdir(), 'anteroom-forged-'))
    try {
      await mkdir(copy, { recursive: true })
      for (const file of ['anteroom.sqlite', 'vault.key']) await copyFile(join(this.home, file), join(copy, file))
      const database = new DatabaseSync(join(copy, 'anteroom.sqlite'))
      for (const trigger of ['audit_is_final', 'audit_stays', 'audit_grows_at_its_end', 'audit_head_stays'])
        database.exec(`drop trigger ${trigger}`)
      forge(database)
      database.close()
      const store = await openStoreIn(copy)
      try {
        return await verifyStored(store.db, this.#key, { kept })
      } finally {
        await store.close()
      }
    } finally {
      await rm(copy, { recursive: true })
    }
  }

  async verifyLines(lines: readonly string[], kept: readonly Place[] = []): Promise<AuditVerification> {
    async function* given(): AsyncIterable<string> {
      yield* lines
    }
    return await verifyExport(given(), this.#key, kept)
  }

  /** What only whoever has `vault.key` as well can write. */
  signedHead(database: DatabaseSync): void {
    const { seq, hash } = database
      .prepare('select seq, hash from audit order by seq desc limit 1')
      .get() as unknown as Place
    const mac = createHmac('sha256', this.#key).update(`{"hash":"${hash}","seq":${seq}}`).digest('hex')
    database.prepare('update audit_head set seq = ?, hash = ?, mac = ?').run(seq, hash, mac)
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true })
  }
}

export const scope = Scope.root('audit attempts')

/** Written from docs/reference/audit.md, not with what the controller uses: a mistake there must not hide here. */
export function rechain(database: DatabaseSync, fromSeq: number): void {
  const rows = database.prepare('select * from audit order by seq').all() as unknown as Record<string, never>[]
  let previous = '0'.repeat(64)
  for (const row of rows) {
    if (Number(row.seq) >= fromSeq) {
      const entry = {
        action: row.action,
        actor: { id: row.actor_id, kind: row.actor_kind },
        at: new Date(Number(row.at)).toISOString(),
        client_address: row.client_address,
        details: JSON.parse(String(row.details)),
        outcome: row.outcome,
        previous_hash: previous,
        request_id: row.request_id,
        seq: row.seq,
        target: { id: row.target_id, kind: row.target_kind },
      }
      previous = createHash('sha256').update(JSON.stringify(entry)).digest('hex')
      database
        .prepare('update audit set previous_hash = ?, hash = ? where seq = ?')
        .run(entry.previous_hash, previous, row.seq as never)
    } else previous = String(row.hash)
  }
}

/** The same of a line of an export. */
export function forgedLine(line: string, change: Partial<AuditEntry>): string {
  const { hash: _, ...entry } = { ...(JSON.parse(line) as AuditEntry), ...change }
  const { action, actor, at, client_address, details, outcome, previous_hash, request_id, seq, target } = entry
  const canonical = {
    ...{ action, actor: { id: actor.id, kind: actor.kind }, at, client_address, details, outcome, previous_hash },
    ...{ request_id, seq, target: { id: target.id, kind: target.kind } },
  }
  const hash = createHash('sha256').update(JSON.stringify(canonical)).digest('hex')
  return JSON.stringify({ ...entry, hash })
}
