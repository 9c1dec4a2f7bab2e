import { type SessionLog, type SessionLogLine, sessionId, sessionLog } from '@anteroom/contract'
import { type Command, UsageError } from '../command.ts'
import { controllerOf, isUnreachable } from '../controller.ts'
import { runEntry } from '../run-entry.ts'

export const logs: Command = {
  name: 'logs',
  synopsis: 'logs <session>',
  does: 'all that was written about a session and its machine, by time; also without a controller',
  flags: [],
  async run([id = '', ...more], { home, json }) {
    if (!sessionId.safeParse(id).success || more.length > 0)
      throw new UsageError('Name one session: ses_ and 24 letters or digits, as the dashboard and the log show it.')
    const found = await gather(home, id)
    return { text: json ? JSON.stringify(found, null, 2) : logText(found), exitCode: 0 }
  },
}

/** By the controller that runs, else from its files. */
async function gather(home: string, id: string): Promise<SessionLog> {
  try {
    return sessionLog.parse(await (await controllerOf(home)).sessions.logs(id))
  } catch (error) {
    if (!isUnreachable(error)) throw error
    return sessionLog.parse(JSON.parse(await runEntry('logs-main.ts', ['--home', home, id])))
  }
}

/** For a person at a terminal. */
export function logText({ session_id, machine_ids, lines, left_out, texts }: SessionLog): string {
  const head = [session_id, ...machine_ids].join('  ')
  const [first] = lines
  return [
    first ? `${head}  ${first.at.slice(0, 10)}` : head,
    [...(left_out > 0 ? [`[${left_out} lines before these are not shown]`] : []), ...lines.map(lineText)].join('\n'),
    ...texts.map(({ kind, file, text }) => `${kind}  ${file ?? '(its machine still runs)'}\n${indented(text)}`),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

const marks = { debug: ' ', info: ' ', warn: '!', error: '✗' } as const

function lineText({ at, source, level, message, fields }: SessionLogLine): string {
  const said = Object.entries(fields).flatMap(([name, value]) => fieldText(name, value))
  const [inLine, below] = [said.filter((text) => !text.includes('\n')), said.filter((text) => text.includes('\n'))]
  return [
    [at.slice(11, 23), source.padEnd(10), marks[level], message, ...inLine].join(' '),
    ...below.map((text) => text.replaceAll(/^/gm, '      ')),
  ].join('\n')
}

/** An error says its code and its chain of causes in a line; its stacks are in the log itself. */
function fieldText(name: string, value: unknown): string[] {
  if (value === null || value === undefined) return []
  if (name === 'error' && typeof value === 'object') return [`${name}=${errorText(value)}`]
  return [`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`]
}

function errorText(error: object): string {
  const { message, cause } = error as { message?: unknown; cause?: unknown }
  const why = typeof cause === 'object' && cause !== null ? ` ← ${errorText(cause)}` : ''
  return `${String(message ?? JSON.stringify(error))}${why}`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a serial console sends colours.
const escapes = /\u001b\[[0-9;?]*[A-Za-z]/g
const indented = (text: string): string =>
  text
    .replace(escapes, '')
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line.replace(/\p{Cc}+/gu, ' ').trimEnd()}`)
    .join('\n')
