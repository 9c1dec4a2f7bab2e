/** Golden snapshots of this host: a saved machine of the current image, from which others are restored. */
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, type Log, type Scope, systemErrorCode } from '@anteroom/base'
import { type ErrorCode, type SnapshotManifest, snapshotId } from '@anteroom/contract'
import {
  type MachineShape,
  readSnapshot,
  snapshotIdOf,
  snapshotKeyOf,
  snapshotVerifier,
  vouchFor,
} from '@anteroom/snapshot'
import type { Config } from '../config.ts'
import type { ImageFiles, Images } from '../images/images.ts'
import { buildFor } from './build-for.ts'

/** A published snapshot on disk; its files never change. */
export interface SnapshotFiles {
  readonly id: string
  /** Absolute; contains manifest.json, memory, state. */
  readonly directory: string
  readonly manifest: SnapshotManifest
}

export type SnapshotStatus =
  /** Machines are restored from it. */
  | { readonly status: 'ready'; readonly id: string }
  /** Machines boot meanwhile. `code`: what is wrong with the one that is replaced. */
  | { readonly status: 'building'; readonly code: ErrorCode | null; readonly why: string }
  | { readonly status: 'failed'; readonly code: ErrorCode; readonly why: string }
  /** Machines always boot: `vmm.snapshots` is off. */
  | { readonly status: 'off' }

export interface Snapshots {
  /**
   * The snapshot for machines of this image as this host makes them now; undefined where there is none that can be used, which
   * `status` explains. Costs a few `stat` calls. Never rejects because of a snapshot: a machine that is wanted boots instead.
   */
  of(image: ImageFiles, scope: Scope): Promise<SnapshotFiles | undefined>
  /** A restore from it failed: not used again; another one is built. */
  reject(id: string, reason: unknown): void
  /** Builds what is missing now, however lately that failed. */
  rebuild(): void
  status(): SnapshotStatus
  /** Builds what the current image lacks, one at a time, until `scope` is over. */
  run(scope: Scope): Promise<void>
  /** Something changed that `of` would answer differently. Called back until the returned function is called. */
  onChange(listener: () => void): () => void
  /** Removes snapshots that neither the current image nor a machine uses; gives their ids. */
  collect(inUse: ReadonlySet<string>): Promise<string[]>
}

export interface SnapshotsDeps {
  readonly config: Pick<Config, 'home' | 'vmm'>
  readonly images: Pick<Images, 'current'>
  /** How this host runs a machine now. */
  readonly accelerator: (scope: Scope) => Promise<MachineShape['accelerator']>
  readonly log: Log
}

/** The current image is looked at this often; it is published by another process. */
const lookMs = 5_000
const retryMs = 600_000

export function openSnapshots(deps: SnapshotsDeps): Snapshots {
  const { config, images, log } = deps
  if (config.vmm.snapshots === 'off') return noSnapshots
  const directory = join(config.home, 'snapshots')
  const verifier = snapshotVerifier(config.home)
  const listeners = new Set<() => void>()
  /** Why each of them is not used; a build replaces it. */
  const rejected = new Map<string, string>()
  let current: SnapshotStatus = { status: 'building', code: null, why: 'not looked for yet' }
  let failed: { readonly id: string; readonly retryAt: number } | undefined
  let wake = Promise.withResolvers<void>()

  const shapeOf = async (scope: Scope): Promise<MachineShape> => ({
    ...{ binary: config.vmm.binary, accelerator: await deps.accelerator(scope) },
    ...{ memoryMiB: config.vmm.memory_mib, vcpus: config.vmm.vcpus },
  })

  function become(next: SnapshotStatus): void {
    const changed = JSON.stringify(next) !== JSON.stringify(current)
    current = next
    if (changed) for (const listener of listeners) listener()
  }

  /** Published, of this id, each file what the manifest says. @throws Error, FileMismatch */
  async function open(id: string): Promise<SnapshotFiles> {
    const snapshot = await readSnapshot(directory, id)
    for (const file of [snapshot.manifest.memory, snapshot.manifest.state])
      await verifier.ensure(join(snapshot.directory, file.name), file)
    return snapshot
  }

  async function find(id: string, scope: Scope): Promise<SnapshotFiles | undefined> {
    if (rejected.has(id)) return undefined
    try {
      return await scope.race(open(id))
    } catch (error) {
      scope.throwIfOver()
      if (systemErrorCode(error) !== 'ENOENT') reject(id, error)
      return undefined
    }
  }

  function reject(id: string, reason: unknown): void {
    const why = reason instanceof AppError ? (reason.detail ?? reason.message) : String(reason)
    if (!rejected.has(id))
      log.error({ snapshot: id, code: 'snapshot_corrupt', why }, 'a golden snapshot is not used any more')
    rejected.set(id, why)
    become({ status: 'building', code: 'snapshot_corrupt', why })
    wake.resolve()
  }

  /** Builds what the current image lacks; nothing where there is no image. */
  async function ensure(scope: Scope): Promise<void> {
    const image = await images.current().catch(() => undefined)
    if (!image) return
    const shape = await shapeOf(scope)
    const id = snapshotIdOf(await snapshotKeyOf(image.id, shape, scope))
    if (await find(id, scope)) return become({ status: 'ready', id })
    if (failed?.id === id && scope.clock.monotonic() < failed.retryAt) return
    const code = rejected.has(id) ? 'snapshot_corrupt' : null
    const why = rejected.get(id) ?? 'no snapshot was made for this image on this host with this configuration'
    become({ status: 'building', code, why })
    log.info({ snapshot: id, image: image.id, why }, 'building the golden snapshot; machines boot meanwhile')
    try {
      const built = await buildFor({ image, shape, home: config.home, force: rejected.has(id) }, scope)
      const { manifest } = built
      await vouchFor(built, verifier)
      rejected.delete(id)
      log.info({ snapshot: id, ...manifest.boot, ...manifest.restore_test }, 'golden snapshot built')
    } catch (error) {
      scope.throwIfOver()
      const failure = AppError.from(error, 'snapshot_build_failed')
      failed = { id, retryAt: scope.clock.monotonic() + retryMs }
      log.error({ code: failure.code, error: failure }, 'the golden snapshot could not be built; machines boot')
      become({ status: 'failed', code: failure.code, why: failure.detail ?? failure.message })
    }
    // Whether machines can be restored now is told by the next look.
    wake.resolve()
  }

  return {
    async of(image, scope) {
      const found = await find(snapshotIdOf(await snapshotKeyOf(image.id, await shapeOf(scope), scope)), scope)
      if (!found) wake.resolve()
      return found
    },
    reject,
    rebuild() {
      failed = undefined
      wake.resolve()
    },
    status: () => current,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async run(scope) {
      while (!scope.signal.aborted) {
        wake = Promise.withResolvers<void>()
        await ensure(scope).catch((error: unknown) => {
          if (!scope.signal.aborted) log.error({ error }, 'the golden snapshot could not be looked after')
        })
        const woken = new AbortController()
        void wake.promise.then(() => woken.abort())
        await scope.clock.delay(lookMs, AbortSignal.any([scope.signal, woken.signal]))
      }
    },
    async collect(inUse) {
      // Those of another state directory, whose machines are not known here.
      if (await isLink(directory)) return []
      if (current.status !== 'ready') return []
      const kept = new Set([...inUse, current.id])
      const ids = (await names(directory)).filter((name) => snapshotId.safeParse(name).success && !kept.has(name))
      for (const id of ids) await rm(join(directory, id), { recursive: true, force: true })
      return ids
    },
  }
}

const noSnapshots: Snapshots = {
  of: async () => undefined,
  reject() {},
  rebuild() {},
  status: () => ({ status: 'off' }),
  run: async () => {},
  onChange: () => () => {},
  collect: async () => [],
}

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (status) => status.isSymbolicLink(),
    () => false,
  )

const names = (directory: string): Promise<string[]> => readdir(directory).catch(() => [])
