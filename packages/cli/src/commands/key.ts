import { type KeyScope, keyId, keyScopes } from '@anteroom/contract'
import type { Anteroom, Key, KeyWithSecret } from '@anteroom/sdk'
import { type Answer, type Command, type Options, UsageError } from '../command.ts'
import { controllerOf } from '../controller.ts'

type Values = NonNullable<Options['values']>

interface Told {
  /** As the API gave it. */
  readonly answer: unknown
  readonly text: string
}

export const key: Command = {
  name: 'key',
  synopsis: 'key list|create|rotate|revoke',
  does: 'API keys: who may ask what; alone it says what each of these takes',
  flags: [],
  values: ['expires-in', 'overlap', 'project'],
  async run([what = '', ...words], { home, json, values = {} }): Promise<Answer> {
    const act = Object.hasOwn(acts, what) ? acts[what as keyof typeof acts] : undefined
    if (!act) throw new UsageError(howTo)
    // What was mistyped is told before anybody is asked.
    const { answer, text } = await act(words, values)(await controllerOf(home))
    return { text: json ? JSON.stringify(answer, null, 2) : text, exitCode: 0 }
  },
}

type Ask = (anteroom: Anteroom) => Promise<Told>

const howTo = `Say what to do:
  key list
  key create <name> <scope>… [--project prj_…] [--expires-in 90d]
  key rotate <key> [--overlap 1h] [--expires-in 90d]
  key revoke <key>
Scopes: ${keyScopes.join(' ')}`

const acts = {
  list(words) {
    if (words.length > 0) throw new UsageError('key list takes no names.')
    return async ({ keys }) => {
      const all: Key[] = []
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = await keys.list({ limit: 100, ...(cursor !== undefined && { cursor }) })
        all.push(...page.items)
        cursor = page.next_cursor
      }
      return { answer: all, text: all.map(keyText).join('\n') }
    }
  },
  create([name = '', ...scopes], values) {
    const known = scopes.filter((scope): scope is KeyScope => (keyScopes as readonly string[]).includes(scope))
    if (name === '' || known.length === 0 || known.length < scopes.length)
      throw new UsageError(`key create takes a name and what the key may do, of: ${keyScopes.join(' ')}.`)
    const expires = seconds(values['expires-in'])
    const { project } = values
    const more = {
      ...(project !== undefined && { project_id: project }),
      ...(expires !== undefined && { expires_in_seconds: expires }),
    }
    return async ({ keys }) => told(await keys.create({ name, scopes: known, ...more }))
  },
  rotate(words, values) {
    const id = oneKey(words)
    const times = { overlapSeconds: seconds(values.overlap), expiresInSeconds: seconds(values['expires-in']) }
    return async ({ keys }) => told(await keys.rotate(id, times))
  },
  revoke(words) {
    const id = oneKey(words)
    return async ({ keys }) => {
      await keys.revoke(id)
      return { answer: { id, status: 'revoked' }, text: `${id} opens nothing any more.` }
    }
  },
} satisfies Record<string, (words: readonly string[], values: Values) => Ask>

const told = (made: KeyWithSecret): Told => {
  const { secret, previous_expires_at } = made
  const overlap = previous_expires_at === null ? [] : [`The secret before opens until ${previous_expires_at}.`]
  return { answer: made, text: [keyText(made), '', secret, '', 'It is not shown again.', ...overlap].join('\n') }
}

function oneKey(words: readonly string[]): string {
  const [id, ...more] = words
  if (!keyId.safeParse(id).success || id === undefined || more.length > 0)
    throw new UsageError('Name one key: key_ and 24 letters or digits, as key list shows it.')
  return id
}

const units = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** `90d` in seconds. */
export function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (count === undefined) throw new UsageError(`${text} is no length of time: 90d, 12h, 30m or 0s.`)
  return Number(count) * units[unit as keyof typeof units]
}

/** One line. */
export function keyText({ id, project_id, name, scopes, status, in_file, expires_at, last_used_at }: Key): string {
  const state = status === 'active' ? (expires_at ? `until ${expires_at}` : 'for ever') : status
  return [
    id,
    name,
    project_id ?? 'every project',
    scopes.join(' '),
    in_file ? 'in operator.key' : state,
    last_used_at ? `last used ${last_used_at}` : 'never used',
  ].join('  ')
}
