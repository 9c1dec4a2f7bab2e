/** Golden snapshots of this host: a saved machine of the current image, from which others are restored. */
import type { Scope } from '@anteroom/base'
import type { ErrorCode, SnapshotManifest } from '@anteroom/contract'
import type { ImageFiles } from '../images/images.ts'

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
  /** Machines boot meanwhile. */
  | { readonly status: 'building'; readonly why: string }
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
  status(): SnapshotStatus
  /** Builds what the current image lacks, one at a time, until `scope` is over. */
  run(scope: Scope): Promise<void>
  /** Something changed that `of` would answer differently. Called back until the returned function is called. */
  onChange(listener: () => void): () => void
  /** Removes snapshots that no current image and no machine uses; gives their ids. */
  collect(inUse: ReadonlySet<string>): Promise<string[]>
}
