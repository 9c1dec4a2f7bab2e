import { AppError, type Log, Secret } from '@anteroom/base'

const keptBytes = 64 * 1024
const longestText = 1000

export interface AgentLog extends Log {
  /** The last 64 KiB, whole lines. */
  tail(): string
}

/** One JSON object a line, to `write` and to a ring for GET /v1/log. */
export function createAgentLog(write: (line: string) => void): AgentLog {
  const lines: string[] = []
  let bytes = 0
  const keep = (line: string): void => {
    write(line)
    lines.push(line)
    bytes += Buffer.byteLength(line)
    while (bytes > keptBytes) bytes -= Buffer.byteLength(lines.shift() ?? '')
  }
  const at = (context: object): AgentLog => {
    const level = (name: string) => (fields: object, message: string) =>
      keep(
        `${JSON.stringify({ at: new Date().toISOString(), level: name, message, ...context, ...fields }, printable)}\n`,
      )
    return {
      debug: level('debug'),
      info: level('info'),
      warn: level('warn'),
      error: level('error'),
      child: (fields) => at({ ...context, ...fields }),
      tail: () => lines.join(''),
    }
  }
  return at({})
}

/** Text of browsers and providers may hold addresses whose query is a credential. */
const withoutQueries = (text: string): string => text.replace(/([?#])[^\s"']+/g, '$1…').slice(0, longestText)

function printable(_key: string, value: unknown): unknown {
  if (value instanceof Secret) return '[secret]'
  if (value instanceof Error) return withoutQueries(describeError(value))
  return typeof value === 'string' ? withoutQueries(value) : value
}

function describeError(error: Error): string {
  const code = error instanceof AppError ? ` ${error.code}` : ''
  const cause = error.cause instanceof Error ? ` ← ${describeError(error.cause)}` : ''
  return `${error.name}${code}: ${error.message}${cause}`
}
