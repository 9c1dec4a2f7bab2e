import { newToken } from '@anteroom/base'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TestVault } from '../../packages/controller/src/vault/test-vault.fixture.ts'
import { sampleSummary } from '../../packages/controller/test/sample-credential.ts'

const seconds = Number(process.env.FUZZ_SECONDS ?? 60)

test(`whatever a guest hands over instead of a credential is refused as that, for ${seconds} s`, async () => {
  const world = await TestVault.open()
  try {
    const session = await world.newSession()
    const whole = await world.sealed(session, newToken())
    const at = fc.nat(whole.length - 1)
    const parts = fc.tuple(fc.nat(4), fc.oneof(fc.string(), fc.base64String(), fc.constant('')))
    const handedOver = fc.oneof(
      at.map((end) => whole.slice(0, end)),
      at.map((start) => whole.slice(start + 1)),
      fc
        .tuple(at, fc.string({ minLength: 1 }))
        .map(([place, text]) => whole.slice(0, place) + text + whole.slice(place)),
      parts.map(([index, text]) => whole.split('.').with(index, text).join('.')),
      fc.array(fc.base64String(), { minLength: 1, maxLength: 9 }).map((texts) => texts.join('.')),
      fc.string({ unit: 'binary', maxLength: 5_000 }),
      fc.nat(2_000_000).map((length) => '.'.repeat(length)),
    )
    const bytesOf = (text: string): string =>
      text
        .split('.')
        .map((part) => Buffer.from(part, 'base64url').toString('hex'))
        .join('.')
    const before = process.memoryUsage().arrayBuffers
    let tried = 0
    await fc.assert(
      fc.asyncProperty(handedOver, async (text) => {
        // Letters that base64url does not know, and bits that it does not use, are the same bytes.
        fc.pre(bytesOf(text) !== bytesOf(whole))
        tried++
        await expect(world.vault.store(session, text, sampleSummary)).rejects.toMatchObject({ code: 'capture_invalid' })
      }),
      { numRuns: 10_000_000, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false },
    )
    expect(tried).toBeGreaterThan(100)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
    // And what was meant is still taken.
    await world.vault.store(session, whole, sampleSummary)
  } finally {
    await world.close()
  }
})
