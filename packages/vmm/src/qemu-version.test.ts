import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scope } from '@anteroom/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { qemuVersion } from './qemu-version.ts'

const scope = Scope.root('test')
let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anteroom-version-'))
})
afterEach(() => rm(directory, { recursive: true }))

async function saying(text: string): Promise<string> {
  const path = join(directory, 'monitor')
  await writeFile(path, `#!/bin/sh\necho '${text}'\n`)
  await chmod(path, 0o755)
  return path
}

test.each([
  ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)', { major: 7, minor: 2 }],
  ['QEMU emulator version 10.0.0', { major: 10, minor: 0 }],
])('%s', async (text, version) => {
  expect(await qemuVersion(await saying(text), scope)).toEqual({ text, ...version })
})

test.each([
  ['QEMU emulator version 7.1.0', 'machines need QEMU 7.2 or newer'],
  ['QEMU emulator version 2.12.0', 'machines need QEMU 7.2 or newer'],
  ['Firecracker v1.7.0', 'not QEMU'],
])('%s is vmm_missing', async (text, words) => {
  const refused = { code: 'vmm_missing', detail: expect.stringContaining(words) }
  await expect(qemuVersion(await saying(text), scope)).rejects.toMatchObject(refused)
})

test('another file under the same name is asked again', async () => {
  const path = await saying('QEMU emulator version 7.2.0')
  expect((await qemuVersion(path, scope)).major).toBe(7)
  await rm(path)
  expect((await qemuVersion(await saying('QEMU emulator version 10.1.0'), scope)).major).toBe(10)
  await rm(path)
  await expect(qemuVersion(path, scope)).rejects.toMatchObject({ code: 'vmm_missing' })
})
