import { randomBytes } from 'node:crypto'
import { Scope, Secret } from '@anteroom/base'
import { describe, expect, test } from 'vitest'
import type { KeyProvider } from './key-provider.ts'

export interface ProviderUnderTest {
  open(): Promise<KeyProvider>
  /** The same provider over another root key. */
  openOther(): Promise<KeyProvider>
}

/** What every key provider does. */
export function keyProviderContract(name: string, { open, openOther }: ProviderUnderTest): void {
  const scope = Scope.root('test')
  const key = (bytes = 32) => new Secret(randomBytes(bytes))
  const unavailable = { code: 'vault_unavailable', detail: expect.stringMatching(/\w/) }

  describe(`key provider ${name}`, () => {
    test('gives back what it wrapped, also when it is opened again', async () => {
      const provider = await open()
      for (const secret of [key(), key(), key(1), key(48)]) {
        const wrapped = await provider.wrap(secret, 'entries/wk_1', scope)
        expect((await provider.unwrap(wrapped, 'entries/wk_1', scope)).expose()).toEqual(secret.expose())
        const again = await (await open()).unwrap(wrapped, 'entries/wk_1', scope)
        expect(again.expose()).toEqual(secret.expose())
      }
    })

    test('what it gives to be stored is text, other each time, and says nothing of the key', async () => {
      const provider = await open()
      const secret = key()
      const wrapped = await Promise.all([1, 2].map(() => provider.wrap(secret, 'entries/wk_1', scope)))
      expect(new Set(wrapped.map((each) => each.wrapped)).size).toBe(2)
      for (const encoding of ['base64', 'base64url', 'hex'] as const)
        expect(JSON.stringify(wrapped)).not.toContain(secret.expose().toString(encoding))
      expect(wrapped.every(({ rootId }) => rootId !== '')).toBe(true)
    })

    test('refuses what was wrapped for another name, changed, cut or made up', async () => {
      const provider = await open()
      const { wrapped, rootId } = await provider.wrap(key(), 'entries/wk_1', scope)
      await expect(provider.unwrap({ wrapped, rootId }, 'heads/wk_1', scope)).rejects.toMatchObject(unavailable)
      const half = wrapped.slice(0, wrapped.length / 2)
      const flipped = `${wrapped[0] === 'A' ? 'B' : 'A'}${wrapped.slice(1)}`
      for (const bad of [half, flipped, 'AAAA', 'x y', '*'])
        await expect(provider.unwrap({ wrapped: bad, rootId }, 'entries/wk_1', scope)).rejects.toMatchObject(
          unavailable,
        )
    })

    test('refuses what another root wrapped', async () => {
      const [provider, other] = [await open(), await openOther()]
      const wrapped = await other.wrap(key(), 'entries/wk_1', scope)
      await expect(provider.unwrap(wrapped, 'entries/wk_1', scope)).rejects.toMatchObject(unavailable)
    })
  })
}
