import { join } from 'node:path'
import { CommandError, runCommand, type Scope } from '@anteroom/base'

const program = join(import.meta.dirname, 'integrity-main.ts')

/**
 * What is wrong inside of the database; empty: nothing. In a process of its own, because SQLite reads all of it in one go, and beside
 * whoever has it open.
 */
export async function damageOf(path: string, scope: Scope): Promise<string[]> {
  try {
    const { stdout } = await runCommand(scope, process.execPath, [program, path])
    return JSON.parse(stdout)
  } catch (error) {
    if (error instanceof CommandError) return [error.failure.stderr.trim().split('\n').at(-1) ?? 'it cannot be read']
    throw error
  }
}
