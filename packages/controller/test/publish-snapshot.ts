import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '@anteroom/base'
import type { SnapshotManifest } from '@anteroom/contract'
import { type MachineShape, snapshotIdOf, snapshotKeyOf } from '@anteroom/snapshot'

/** A monitor as far as a snapshot's key needs one: it says its version. */
export async function writeMonitor(directory: string): Promise<string> {
  const binary = join(directory, 'qemu')
  await writeFile(binary, '#!/bin/sh\necho QEMU emulator version 7.2.22\n', { mode: 0o755 })
  return binary
}

/** A published snapshot whose memory is nobody's, with the right key and checksums; gives its id. */
export async function publishSnapshot(
  home: string,
  imageId: string,
  shape: MachineShape,
  scope: Scope,
): Promise<string> {
  const key = await snapshotKeyOf(imageId, shape, scope)
  const id = snapshotIdOf(key)
  const directory = join(home, 'snapshots', id)
  await mkdir(directory, { recursive: true })
  const file = async (name: string, content: string) => {
    await writeFile(join(directory, name), content)
    return { name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }
  }
  const manifest: SnapshotManifest = {
    ...{ format: 1, id, key, memory: await file('memory', 'm'.repeat(9000)), state: await file('state', 'state') },
    built_at: '2026-01-01T00:00:00.000Z',
    boot: { hello_ms: 1, painted_ms: 1, settled_ms: 1 },
    restore_test: { loaded_ms: 1, painted_ms: 1, different_pixels: 0, pixels: 1 },
  }
  await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest))
  return id
}
