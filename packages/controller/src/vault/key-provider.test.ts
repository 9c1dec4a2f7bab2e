import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope, Secret } from '@anteroom/base'
import { afterAll, describe, expect, test } from 'vitest'
import { newRootKeyLine } from './key-file.ts'
import { keyProviderContract } from './key-provider.contract.ts'
import { type KeyProvider, type KeyProviderSettings, openKeyProvider } from './key-provider.ts'

const directory = await mkdtemp(join(tmpdir(), 'anteroom-provider-'))
afterAll(() => rm(directory, { recursive: true }))

const program = join(import.meta.dirname, '../../test/key-command/key-command.ts')
const lines = { one: newRootKeyLine(), other: newRootKeyLine() }
for (const [name, line] of Object.entries(lines)) {
  await writeFile(join(directory, `${name}.key`), line, { mode: 0o600 })
  await writeFile(join(directory, `${name}.hex`), randomBytes(32).toString('hex'))
}

const open = (settings: KeyProviderSettings, env: NodeJS.ProcessEnv = {}): Promise<KeyProvider> =>
  openKeyProvider({ settings, keyFile: join(directory, 'none.key'), env, mayCreate: false })
const command = (...args: string[]): KeyProviderSettings => ({
  provider: 'command',
  command: [process.execPath, ...args],
  timeout_seconds: 10,
})
const file = (name: string): KeyProviderSettings => ({ provider: 'file', path: join(directory, name) })
const environment: KeyProviderSettings = { provider: 'environment', variable: 'ROOT' }

keyProviderContract('file', { open: () => open(file('one.key')), openOther: () => open(file('other.key')) })
keyProviderContract('environment', {
  open: () => open(environment, { ROOT: lines.one }),
  openOther: () => open(environment, { ROOT: lines.other }),
})
keyProviderContract('command', {
  open: () => open(command(program, join(directory, 'one.hex'))),
  openOther: () => open(command(program, join(directory, 'other.hex'))),
})

describe('what is wrong with a provider is said, with what to do', () => {
  test('a file that is not there is not made where something is encrypted', async () => {
    const detail = expect.stringMatching(/is missing.*Restore/)
    await expect(open(file('no.key'))).rejects.toMatchObject({ code: 'vault_unavailable', detail })
  })

  test.each([
    [{}, /ROOT is not set.*new-key/],
    [{ ROOT: 'secret-by-mistake' }, /ROOT holds is no root key.*new-key/],
  ])('an environment of %o', async (env, detail) => {
    const error = await open(environment, env).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'vault_unavailable', detail: expect.stringMatching(detail) })
    expect(String(error)).not.toContain('secret-by-mistake')
  })

  test('the variable does not go on to programs that are started, and the vault opens again without it', async () => {
    process.env.ANTEROOM_TEST_ROOT = lines.one
    const settings: KeyProviderSettings = { provider: 'environment', variable: 'ANTEROOM_TEST_ROOT' }
    const first = await open(settings, process.env)
    expect(process.env.ANTEROOM_TEST_ROOT).toBeUndefined()
    const wrapped = await first.wrap(new Secret(Buffer.from('key')), 'n', Scope.root('test'))
    const again = await open(settings, process.env)
    expect((await again.unwrap(wrapped, 'n', Scope.root('test'))).expose().toString()).toBe('key')
  })

  test.each([
    ['is not there', { ...command(), command: ['/no/such/program'] }, /it is not there/],
    [
      'fails',
      command('-e', 'console.error("first"); console.error("access denied"); process.exit(3)'),
      /3: access denied/,
    ],
    ['prints nothing', command('-e', ''), /did not print the JSON object/],
    ['prints something else', command('-e', 'console.log("[1]")'), /did not print the JSON object/],
    ['never ends', { ...command('-e', 'setInterval(() => {}, 9)'), timeout_seconds: 1 }, /did not end within 1 s/],
  ])('a command that %s', async (_what, settings, detail) => {
    const provider = await open(settings as KeyProviderSettings)
    const wrapping = provider.wrap(new Secret(Buffer.from('key')), 'n', Scope.root('test'))
    await expect(wrapping).rejects.toMatchObject({ code: 'vault_unavailable', detail: expect.stringMatching(detail) })
  })

  test('a command whose scope is over is ended, and the end stays what it is', async () => {
    const provider = await open(command('-e', 'setInterval(() => {}, 9)'))
    const scope = Scope.root('test')
    const wrapping = provider.wrap(new Secret(Buffer.from('key')), 'n', scope)
    scope.cancel()
    await expect(wrapping).rejects.not.toMatchObject({ code: 'vault_unavailable' })
  })
})
