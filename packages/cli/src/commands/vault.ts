import type { VaultRotation } from '@anteroom/sdk'
import { z } from 'zod'
import { type Answer, type Command, type Options, UsageError } from '../command.ts'
import { controllerOf } from '../controller.ts'
import { runEntry } from '../run-entry.ts'

/** What `vault verify` prints of it; docs/reference/vault.md. */
const report = z.object({
  entries: z.number(),
  opened: z.number(),
  by_key: z.record(z.string(), z.number()),
  current_key: z.string(),
  unreadable: z.array(z.object({ credential_id: z.string(), connection_id: z.string(), why: z.string() })),
  put_back: z.string().nullable(),
})
type Report = z.infer<typeof report>

const words = ['rotate', 'rotation', 'verify', 'accept', 'backup', 'restore', 'new-key'] as const

/** What `vault backup` and `vault restore` print. */
const carried = z.object({ path: z.string(), connections: z.number(), credentials: z.number() })

export const vault: Command = {
  name: 'vault',
  synopsis: `vault ${words.join('|')}`,
  does: 'a new wrapping key, how far it is; opens every entry; a backup in one file and its restore: docs/reference/vault.md',
  flags: [],
  async run([word, ...more], options) {
    const what = words.find((known) => known === word)
    if (what === undefined) throw new UsageError(`Say one of: ${words.join(', ')}.`)
    const [file, lock, ...rest] = more
    if (what === 'backup' || what === 'restore') {
      if (file === undefined || lock === undefined || rest.length > 0)
        throw new UsageError(
          `Name the file of the backup, and one that holds a passphrase or an X25519 key: vault ${what} <file> <lock>.`,
        )
      return carriedAnswer(what, carried.parse(JSON.parse(await runVault(what, options, [file, lock]))), options)
    }
    if (more.length > 0) throw new UsageError(`vault ${what} takes nothing else.`)
    switch (what) {
      case 'rotate':
        return rotationAnswer(await (await controllerOf(options.home)).rotateVault(), options)
      case 'rotation':
        return rotationAnswer(await (await controllerOf(options.home)).vaultRotation(), options)
      case 'verify':
      case 'accept':
        return reportAnswer(report.parse(JSON.parse(await runVault(what, options))), options)
      case 'new-key':
        return { text: (await runVault(what, options)).trim(), exitCode: 0 }
      default:
        throw new UsageError(what satisfies never)
    }
  },
}

const runVault = (what: string, { home }: Options, more: readonly string[] = []): Promise<string> =>
  runEntry('vault-main.ts', ['--home', home, what, ...more])

function carriedAnswer(what: 'backup' | 'restore', found: z.infer<typeof carried>, { json }: Options): Answer {
  const how = `${found.connections} connections with ${found.credentials} credentials`
  const text = what === 'backup' ? `${how} are in ${found.path}.` : `${how} were restored, and each of them opens.`
  return { text: json ? JSON.stringify(found, null, 2) : text, exitCode: 0 }
}

const rotationAnswer = (rotation: VaultRotation, { json }: Options): Answer => ({
  text: json ? JSON.stringify(rotation, null, 2) : rotationText(rotation),
  exitCode: 0,
})

export function rotationText({ status, key_id, total, done, unreadable }: VaultRotation): string {
  const bad = unreadable === 0 ? '' : `\n${unreadable} opened with no key; npm run anteroom -- vault verify names them.`
  if (status === 'completed') return `Everything is wrapped under ${key_id}; the key before is destroyed.${bad}`
  if (key_id === null) return 'It begins. How far it is: npm run anteroom -- vault rotation'
  return `${done} of ${total} are wrapped under ${key_id}. How far it is: npm run anteroom -- vault rotation${bad}`
}

const reportAnswer = (found: Report, { json }: Options): Answer => ({
  text: json ? JSON.stringify(found, null, 2) : reportText(found),
  exitCode: found.unreadable.length === 0 && found.put_back === null ? 0 : 1,
})

export function reportText({ entries, opened, by_key, current_key, unreadable, put_back }: Report): string {
  const keys = Object.entries(by_key).map(([id, n]) => `  ${id}  ${n}${id === current_key ? '  current' : ''}`)
  const bad = unreadable.map(
    ({ credential_id, connection_id, why }) => `  ${credential_id} of ${connection_id}: ${why}`,
  )
  return [
    `${opened} of ${entries} credentials open.`,
    ...keys,
    ...(bad.length > 0 ? ['These do not:', ...bad] : []),
    put_back === null
      ? 'All connections are as the vault left them.'
      : `Not as the vault left it: ${put_back}. Bring the newest backup back, or take it as it is: npm run anteroom -- vault accept`,
  ].join('\n')
}
