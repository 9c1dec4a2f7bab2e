import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, chown, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { FileVerifier } from '@anteroom/base'
import { type SnapshotManifest, snapshotManifest } from '@anteroom/contract'
import { snapshotIdOf } from './key.ts'

export interface PublishedSnapshot {
  readonly id: string
  /** Absolute; contains manifest.json, memory, state. */
  readonly directory: string
  readonly manifest: SnapshotManifest
}

export const fileNames = ['memory', 'state'] as const
const manifestName = 'manifest.json'

export async function describeFile(path: string): Promise<SnapshotManifest['memory']> {
  const digest = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), digest)
  return { name: basename(path), bytes: (await stat(path)).size, sha256: digest.digest('hex') }
}

/**
 * Moves a built snapshot into place, whole or not at all. Its owner is that of the state directory: an ordinary user's machines
 * must be able to map it after a build by root.
 */
export async function publish(
  snapshots: string,
  built: string,
  manifest: SnapshotManifest,
): Promise<PublishedSnapshot> {
  await writeFile(join(built, manifestName), `${JSON.stringify(manifest, null, 2)}\n`)
  const owner = await stat(dirname(snapshots))
  for (const name of [...fileNames, manifestName]) {
    const path = join(built, name)
    // Writable for its owner only because QEMU before 8.2 opens for writing what it maps copy-on-write.
    await chmod(path, 0o600)
    await chown(path, owner.uid, owner.gid)
    await sync(path)
  }
  for (const path of [snapshots, built]) await chown(path, owner.uid, owner.gid)
  const directory = join(snapshots, manifest.id)
  await rm(directory, { recursive: true, force: true })
  await rename(built, directory)
  await sync(snapshots)
  return { id: manifest.id, directory, manifest }
}

/** fsync: after a power failure there must be no snapshot whose bytes never reached the disk. */
async function sync(path: string): Promise<void> {
  await using handle = await open(path)
  await handle.sync()
}

/** @throws when there is none, or its manifest is not that of this id */
export async function readSnapshot(snapshots: string, id: string): Promise<PublishedSnapshot> {
  const directory = join(snapshots, id)
  const manifest = snapshotManifest.parse(JSON.parse(await readFile(join(directory, manifestName), 'utf8')))
  if (manifest.id !== id || snapshotIdOf(manifest.key) !== id)
    throw new Error(`${join(directory, manifestName)} describes another snapshot`)
  return { id, directory, manifest }
}

export const buildDirectory = (snapshots: string): string => join(snapshots, `.build-${process.pid}`)

/** What builds that were killed left behind. Only for the holder of the build lock. */
export async function leftovers(snapshots: string): Promise<string[]> {
  return (await readdir(snapshots)).filter((name) => name.startsWith('.build-')).map((name) => join(snapshots, name))
}

/** Knows which snapshots of a state directory were read and found right; those that were just built are. */
export const snapshotVerifier = (home: string): FileVerifier =>
  new FileVerifier(join(home, 'cache', 'verified-snapshots.json'))

export async function vouchFor({ directory, manifest }: PublishedSnapshot, verifier: FileVerifier): Promise<void> {
  for (const file of [manifest.memory, manifest.state]) await verifier.vouch(join(directory, file.name), file)
}
