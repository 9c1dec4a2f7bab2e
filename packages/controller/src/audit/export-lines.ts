import {
  type AuditCheckpoint,
  type AuditEntry,
  type AuditVerification,
  auditCheckpoint,
  auditEntry,
} from '@anteroom/contract'
import { z } from 'zod'
import type { Db } from '../store/store.ts'
import { readEndsAtOnce } from './head.ts'
import { entriesBetween, verdictOf } from './stored-chain.ts'
import { type Place, verifyChain } from './verify-chain.ts'

/** One chunk of an answer or a file. */
const linesAtOnce = 100

/** The last line of an export: where the chain ended when it was made. */
const lastLine = z.strictObject({ checkpoint: auditCheckpoint })

/** All entries after `afterSeq` that are there now, as JSON lines; in the last line where the chain ends. */
export async function* exportOf(db: Db, afterSeq: number): AsyncIterable<string> {
  const { head: checkpoint, last } = await readEndsAtOnce(db)
  let lines: string[] = []
  for await (const entry of entriesBetween(db, afterSeq, Math.max(checkpoint?.seq ?? 0, last?.seq ?? 0))) {
    lines.push(`${JSON.stringify(entry)}\n`)
    if (lines.length < linesAtOnce) continue
    yield lines.join('')
    lines = []
  }
  if (checkpoint) lines.push(`${JSON.stringify({ checkpoint } satisfies z.infer<typeof lastLine>)}\n`)
  yield lines.join('')
}

class NotALine extends Error {}

/** The chain of an export. One that begins later than with the first entry is believed to go on from where it says. */
export async function verifyExport(
  lines: AsyncIterable<string>,
  key: Buffer | undefined,
  kept: readonly Place[] = [],
): Promise<AuditVerification> {
  const reading = new ExportReading(lines)
  try {
    const first = await reading.first()
    const after = first && first.seq > 1 ? { seq: first.seq - 1, hash: first.previous_hash } : undefined
    const walked = await verifyChain(reading.entries(), {
      ...(after && { after }),
      kept,
      head: () => reading.checkpoint,
    })
    return verdictOf(walked, reading.checkpoint, key)
  } catch (error) {
    if (!(error instanceof NotALine)) throw error
    const first_wrong = { seq: reading.lastSeq + 1, problem: 'changed', found: error.message } as const
    return verdictOf({ entries: reading.count, from: reading.from, first_wrong }, undefined, key)
  }
}

class ExportReading {
  readonly #lines: AsyncIterator<string>
  #line = 0
  #first: AuditEntry | undefined
  checkpoint: AuditCheckpoint | undefined
  /** The first that was read. */
  from: number | null = null
  lastSeq = 0
  count = 0

  constructor(lines: AsyncIterable<string>) {
    this.#lines = lines[Symbol.asyncIterator]()
  }

  async first(): Promise<AuditEntry | undefined> {
    this.#first = await this.#next()
    return this.#first
  }

  async *entries(): AsyncIterable<AuditEntry> {
    for (let entry = this.#first; entry; entry = await this.#next()) {
      this.from ??= entry.seq
      yield entry
      this.lastSeq = entry.seq
      this.count++
    }
  }

  async #next(): Promise<AuditEntry | undefined> {
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) return undefined
      this.#line++
      if (value === '') continue
      if (this.checkpoint) throw new NotALine(`line ${this.#line} comes after the line that says where the chain ends`)
      const entry = this.#parse(value)
      if (entry) return entry
    }
  }

  #parse(text: string): AuditEntry | undefined {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw new NotALine(`line ${this.#line} is not JSON`)
    }
    const entry = auditEntry.safeParse(value)
    if (entry.success) return entry.data
    const last = lastLine.safeParse(value)
    if (!last.success) throw new NotALine(`line ${this.#line} is not an entry of the audit`)
    this.checkpoint = last.data.checkpoint
    return undefined
  }
}
