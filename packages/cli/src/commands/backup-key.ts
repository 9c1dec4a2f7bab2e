import { type Command, UsageError } from '../command.ts'
import { runEntry } from '../run-entry.ts'

export const backupKey: Command = {
  name: 'backup-key',
  synopsis: 'backup-key <file>',
  does: "copies the vault's key to a new file; without it nobody reads the credentials again",
  flags: [],
  async run(words, { home }) {
    const [file, ...more] = words
    if (file === undefined || more.length > 0) throw new UsageError('Name one file that is not there yet.')
    return { text: (await runEntry('backup-key.ts', ['--home', home, file])).trim(), exitCode: 0 }
  },
}
