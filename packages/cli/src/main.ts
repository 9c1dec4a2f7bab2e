/** `npm run anteroom -- <command>`: what an operator asks at a terminal. One file a command. */
import { parseArgs } from 'node:util'
import { AppError } from '@anteroom/base'
import { errorDefinitions } from '@anteroom/contract'
import { AnteroomError } from '@anteroom/sdk'
import { type Command, UsageError } from './command.ts'
import { audit } from './commands/audit.ts'
import { backupKey } from './commands/backup-key.ts'
import { doctor } from './commands/doctor.ts'
import { explain } from './commands/explain.ts'
import { key } from './commands/key.ts'
import { logs } from './commands/logs.ts'
import { project } from './commands/project.ts'
import { vault } from './commands/vault.ts'

const commands: readonly Command[] = [doctor, explain, logs, project, key, backupKey, vault, audit]

function usage(): string {
  const width = Math.max(...commands.map(({ synopsis }) => synopsis.length))
  const lines = commands.map(({ synopsis, does }) => `  ${synopsis.padEnd(width)}  ${does}`)
  return ['Usage: npm run anteroom -- <command> [--home DIR] [--json]', '', ...lines].join('\n')
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  const command = commands.find((candidate) => candidate.name === name)
  if (!command)
    throw new UsageError(name?.startsWith('-') === false ? `There is no command ${name}.` : 'Say which command.')
  const { words, ...options } = read(command, rest)
  const { text, exitCode } = await command.run(words, options)
  process.stdout.write(`${text}\n`)
  return exitCode
}

function read({ flags, values: valued = [] }: Command, args: readonly string[]) {
  const own = Object.fromEntries(flags.map((flag) => [flag, { type: 'boolean' as const }]))
  const withValue = Object.fromEntries(valued.map((name) => [name, { type: 'string' as const }]))
  const options = { ...own, ...withValue, home: { type: 'string' as const }, json: { type: 'boolean' as const } }
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const given = values as Record<string, unknown>
    return {
      home: typeof given.home === 'string' ? given.home : '.anteroom',
      json: given.json === true,
      flags: new Set(flags.filter((flag) => given[flag] === true)),
      values: Object.fromEntries(
        valued.flatMap((name) => (typeof given[name] === 'string' ? [[name, given[name]] as const] : [])),
      ),
      words: positionals,
    }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${usage()}\n`)
    process.exitCode = 2
  } else {
    const { code, message } = error instanceof AnteroomError ? error : AppError.from(error)
    process.stderr.write(`${message} (${code})\n${errorDefinitions[code].hint}\n`)
    process.exitCode = 1
  }
}
