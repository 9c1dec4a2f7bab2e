import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@anteroom/base'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testAudit } from '../../test/test-audit.ts'
import { openStore, type Store } from '../store/store.ts'
import { openVault, type Vault } from './vault.ts'

describe("the vault's key file", () => {
  let directory: string
  let keyFile: string
  let store: Store
  let vault: Vault

  const reopen = () => openVault({ keyFile, store, clock: systemClock, audit: testAudit({ store }) })

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anteroom-vault-'))
    keyFile = join(directory, 'vault.key')
    store = await openStore(':memory:')
    vault = await reopen()
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  test('is made with mode 0600, and nothing is left beside it', async () => {
    expect(await readdir(directory)).toEqual(['vault.key'])
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600)
  })

  test('two starts at once agree on one key', async () => {
    await rm(keyFile)
    await store.close()
    store = await openStore(':memory:')
    const [a, b] = await Promise.all([reopen(), reopen()])
    expect(a.deriveKey('x')).toEqual(b.deriveKey('x'))
  })

  test.each([0o640, 0o604, 0o660, 0o644])('is refused with mode %o', async (mode) => {
    await chmod(keyFile, mode)
    await expect(reopen()).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: expect.stringContaining(`mode ${mode.toString(8)}`),
    })
  })

  test('is refused when it is damaged in any place', async () => {
    const text = await readFile(keyFile, 'utf8')
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 2), fc.constantFrom('x', '0', ' ', ''), async (at, c) => {
        const changed = text.slice(0, at) + c + text.slice(at + 1)
        const key = (line: string) => Buffer.from(line.split(' ')[2] ?? '', 'base64url').toString('hex')
        fc.pre(changed !== text && (key(changed) !== key(text) || at < text.lastIndexOf(' ')))
        await writeFile(keyFile, changed)
        await expect(reopen()).rejects.toMatchObject({ code: 'vault_unavailable' })
      }),
      { numRuns: 60 },
    )
    await writeFile(keyFile, text)
    await reopen()
  })

  test('is refused when it is a directory', async () => {
    await rm(keyFile)
    await expect(
      openVault({ keyFile: directory, store, clock: systemClock, audit: testAudit({ store }) }),
    ).rejects.toMatchObject({
      code: 'vault_unavailable',
    })
  })

  test('is not made anew when the database holds what only the lost one opens', async () => {
    await vault.sealingKey('ses_x')
    await rm(keyFile)
    await expect(reopen()).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: expect.stringContaining('is missing'),
    })
    expect(await readdir(directory)).not.toContain('vault.key')
  })

  test("is refused when it is another database's", async () => {
    await vault.sealingKey('ses_x')
    await rm(keyFile)
    const other = await openStore(':memory:')
    await openVault({ keyFile, store: other, clock: systemClock, audit: testAudit({ store: other }) })
    await other.close()
    await expect(reopen()).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: expect.stringContaining('was encrypted with'),
    })
  })
})
