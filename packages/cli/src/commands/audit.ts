import { createWriteStream } from 'node:fs'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AppError } from '@anteroom/base'
import { type AuditVerification, auditActions, auditVerification } from '@anteroom/contract'
import type { AuditEntry, ListAudit } from '@anteroom/sdk'
import { type Answer, type Command, type Options, UsageError } from '../command.ts'
import { controllerOf, isUnreachable } from '../controller.ts'
import { runEntry } from '../run-entry.ts'

const howTo = `Say what to do with the audit:
  list [--actor KIND|ID] [--action ACTION] [--target ID] [--since TIME] [--until TIME] [--limit N]
  export <file> [--after-seq N]
  verify [<file>] [--checkpoint SEQ:HASH] [--after-seq N]`

/** A chain of millions takes so long to read. */
const verifyMs = 3_600_000

export const audit: Command = {
  name: 'audit',
  synopsis: 'audit list | export <file> | verify [<file>]',
  does: 'who did what; whether it is as it was written; verify also without a controller',
  flags: [],
  values: ['actor', 'action', 'target', 'since', 'until', 'limit', 'checkpoint', 'after-seq'],
  async run([action, ...words], options) {
    switch (action) {
      case 'list':
        if (words.length > 0)
          throw new UsageError('audit list takes no names; --target names a session, connection or key.')
        return await list(options)
      case 'export':
        return await exportTo(words, options)
      case 'verify':
        return await verify(words, options)
      default:
        throw new UsageError(howTo)
    }
  },
}

async function list({ home, json, values = {} }: Options): Promise<Answer> {
  const { action, limit, actor, target, since, until } = values
  if (action !== undefined && !auditActions.some((known) => known === action))
    throw new UsageError(`There is no action ${action}; docs/reference/audit.md lists them.`)
  const query = {
    ...{ ...(actor !== undefined && { actor }), ...(target !== undefined && { target }) },
    ...{ ...(since !== undefined && { since }), ...(until !== undefined && { until }) },
    ...(action !== undefined && { action }),
    ...(limit !== undefined && { limit: number('limit', limit) }),
  } as ListAudit
  const { items } = await (await controllerOf(home)).audit.list(query)
  return { text: json ? JSON.stringify(items, null, 2) : items.map(entryText).join('\n'), exitCode: 0 }
}

/** Whole or with an error: a file that is there already stays as it is. */
async function exportTo([file, ...more]: readonly string[], { home, values = {} }: Options): Promise<Answer> {
  if (file === undefined || more.length > 0) throw new UsageError('Name one file that is not there yet.')
  const afterSeq = number('after-seq', values['after-seq'] ?? '0')
  const path = resolve(file)
  try {
    const lines = await (await controllerOf(home)).audit.export({ afterSeq })
    // Readable.fromWeb wants Node's own type of the same stream.
    const body = Readable.fromWeb(lines as import('node:stream/web').ReadableStream)
    await pipeline(body, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
  } catch (error) {
    if (!isUnreachable(error)) throw unwritten(path, error)
    await runEntry('audit-main.ts', ['--home', home, '--after-seq', String(afterSeq), 'export', path])
  }
  return {
    text: `The audit is in ${path}. Whether it is whole says: npm run anteroom -- audit verify ${path}`,
    exitCode: 0,
  }
}

function unwritten(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EEXIST') return new UsageError(`${path} is there already.`)
  return code === 'ENOSPC' ? new AppError('disk_full', { detail: path, cause: error }) : error
}

async function verify([file, ...more]: readonly string[], { home, json, values = {} }: Options): Promise<Answer> {
  if (more.length > 0) throw new UsageError('audit verify takes one file, or none.')
  const afterSeq = number('after-seq', values['after-seq'] ?? '0')
  const checkpoint = placeOf(values.checkpoint)
  const found = await (file === undefined
    ? ofController(home, afterSeq, checkpoint)
    : ofFiles(home, afterSeq, checkpoint, file))
  const exitCode = found.verdict === 'whole' ? 0 : 1
  return { text: json ? JSON.stringify(found, null, 2) : verificationText(found), exitCode }
}

type Place = { readonly seq: number; readonly hash: string } | undefined

/** By the controller that runs, else from its files. */
async function ofController(home: string, afterSeq: number, checkpoint: Place): Promise<AuditVerification> {
  try {
    return await (await controllerOf(home)).audit.verify({ afterSeq, checkpoint, timeoutMs: verifyMs })
  } catch (error) {
    if (!isUnreachable(error)) throw error
    return await ofFiles(home, afterSeq, checkpoint)
  }
}

async function ofFiles(home: string, afterSeq: number, checkpoint: Place, file?: string): Promise<AuditVerification> {
  const kept = checkpoint === undefined ? [] : ['--checkpoint', `${checkpoint.seq}:${checkpoint.hash}`]
  const args = ['--home', home, '--after-seq', String(afterSeq), ...kept, 'verify', ...(file ? [resolve(file)] : [])]
  return auditVerification.parse(JSON.parse(await runEntry('audit-main.ts', args)))
}

function placeOf(text: string | undefined): Place {
  if (text === undefined) return undefined
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (seq === undefined || hash === undefined)
    throw new UsageError('A checkpoint is the number of an entry, a colon and its hash, as the log has them.')
  return { seq: Number(seq), hash }
}

function number(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${name} takes a number.`)
  return Number(text)
}

/** One line. */
export function entryText(entry: AuditEntry): string {
  const { seq, at, actor, action, target, outcome, client_address, details } = entry
  const who = actor.id === null ? actor.kind : actor.kind === 'key' ? actor.id : `${actor.kind} ${actor.id}`
  const more = Object.entries(details).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]))
  return [
    `${String(seq).padStart(6)}  ${at.slice(0, 19).replace('T', ' ')}  ${action.padEnd(25)}`,
    ...[who, target.id ?? target.kind, outcome === 'done' ? '' : outcome, client_address ?? '', more.join(' ')],
  ]
    .filter((part) => part !== '')
    .join('  ')
}

export function verificationText({
  verdict,
  entries,
  from_seq,
  head,
  head_is_genuine,
  first_wrong,
}: AuditVerification): string {
  const range = from_seq === null ? '' : `, from entry ${from_seq} on`
  if (verdict === 'damaged' && first_wrong)
    return [
      `The audit is damaged: ${first_wrong.found} (${first_wrong.problem}).`,
      `The first wrong entry is ${first_wrong.seq}; ${entries} before it are as they were written${range}.`,
    ].join('\n')
  if (!head) return 'The audit has no entry yet.'
  return [
    `The audit is whole: ${entries} entries${range}. It ends with ${head.seq}:${head.hash}`,
    ...(head_is_genuine === null
      ? ['Without the key of the vault nobody can tell whether this end is genuine: nothing may be missing after it.']
      : []),
  ].join('\n')
}
