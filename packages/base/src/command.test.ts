import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CommandError, runCommand } from './command.ts'
import { Scope } from './scope.ts'

const scope = Scope.root('test')
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-command-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function program(content: string, mode: number): Promise<string> {
  const path = join(directory, `program-${mode.toString(8)}-${content.length}`)
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

const failureOf = (path: string): Promise<CommandError> =>
  runCommand(scope, path, ['--version']).then(
    () => Promise.reject(new Error('it ran')),
    (error: CommandError) => error,
  )

test('a program that ends badly: with what, and what it said', async () => {
  const error = await failureOf(await program('#!/bin/sh\necho no luck >&2\nexit 3\n', 0o755))
  expect(error).toBeInstanceOf(CommandError)
  expect(error.failure).toEqual({ exitCode: 3, notStarted: null, stderr: 'no luck\n' })
  expect(error.message).toMatch(/program-\S+ --version ended with 3: no luck$/)
})

test.each([
  ['absent', () => join(directory, 'absent'), 'ENOENT', 'is not installed'],
  ['not executable', () => program('#!/bin/sh\n', 0o644), 'EACCES', 'may not be executed'],
])('a program that is %s says so', async (_, make, notStarted, words) => {
  const error = await failureOf(await make())
  expect(error).toBeInstanceOf(CommandError)
  expect(error.failure).toEqual({ exitCode: null, notStarted, stderr: '' })
  expect(error.message).toContain(words)
})
