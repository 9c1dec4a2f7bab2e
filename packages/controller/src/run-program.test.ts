import { join } from 'node:path'
import { runCommand, Scope } from '@anteroom/base'
import { expect, test } from 'vitest'

const program = join(import.meta.dirname, 'main.ts')

test.each([
  ['--hom=/tmp', "Unknown option '--hom'"],
  ['--open=yes', "Option '--open' does not take an argument"],
  ['start', "Unexpected argument 'start'"],
])('a command line with %s is refused, by a code and in words', async (word, said) => {
  const failure = await runCommand(Scope.root('test'), process.execPath, [program, word]).then(
    () => undefined,
    ({ failure }) => failure,
  )
  expect(failure.exitCode).toBe(1)
  expect(failure.stderr).toContain(said)
  expect(failure.stderr).toContain('(config_invalid)')
  expect(failure.stderr).not.toContain('    at ')
})
