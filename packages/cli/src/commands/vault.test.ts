import type { VaultRotation } from '@anteroom/sdk'
import { expect, test } from 'vitest'
import { reportText, rotationText, vault } from './vault.ts'

const options = { home: '/nowhere', json: false, flags: new Set<string>() }
const rotation: VaultRotation = {
  ...{ status: 'running', key_id: 'wk_1', total: 9, done: 4, unreadable: 0 },
  ...{ requested_at: '2026-01-01T00:00:00Z', completed_at: null },
}

test('a rotation is told by how far it is', () => {
  expect(rotationText({ ...rotation, key_id: null })).toMatch(/^It begins/)
  expect(rotationText(rotation)).toMatch(/^4 of 9 are wrapped under wk_1/)
  expect(rotationText({ ...rotation, status: 'completed', unreadable: 2 })).toMatch(
    /^Everything is wrapped under wk_1; the key before is destroyed.\n2 opened with no key/,
  )
})

test('a report names what does not open, and by which keys the rest does', () => {
  const unreadable = [{ credential_id: 'crd_a', connection_id: 'con_b', why: 'ciphertext is truncated' }]
  const report = { entries: 3, opened: 2, by_key: { wk_1: 2, wk_0: 1 }, current_key: 'wk_1', unreadable }
  expect(reportText({ ...report, put_back: 'a connection was put back' })).toBe(`2 of 3 credentials open.
  wk_1  2  current
  wk_0  1
These do not:
  crd_a of con_b: ciphertext is truncated
Not as the vault left it: a connection was put back. Bring the newest backup back, or take it as it is: npm run anteroom -- vault accept`)
})

test('what is no word of it is refused, and a rotation needs a controller', async () => {
  await expect(vault.run(['destroy'], options)).rejects.toThrow('Say one of')
  await expect(vault.run(['rotate'], options)).rejects.toMatchObject({ code: 'controller_unreachable' })
})

test('a new key is one line as in a key file, other each time', async () => {
  const lines = await Promise.all([vault.run(['new-key'], options), vault.run(['new-key'], options)])
  for (const { text } of lines) expect(text).toMatch(/^anteroom-vault-key-1 vk_[0-9a-f]{16} [\w-]{43}$/)
  expect(lines[0]?.text).not.toBe(lines[1]?.text)
})
