import type { SnapshotManifest } from '@anteroom/contract'
import type { ImageFiles } from '../src/images/images.ts'
import type { SnapshotFiles, SnapshotStatus, Snapshots } from '../src/snapshots/snapshots.ts'

/** Snapshots without files: each is there because a test says so. */
export class FakeSnapshots implements Snapshots {
  /** Ids that were rejected, in order. */
  readonly rejected: string[] = []
  readonly #listeners = new Set<() => void>()
  #ofImage = new Map<string, SnapshotFiles>()
  #status: SnapshotStatus = { status: 'off' }

  /** From now on machines of that image are restored from it. */
  publish(imageId: string, letter: string): string {
    const id = `snp_${letter.repeat(24)}`
    this.#ofImage.set(imageId, { id, directory: '/nowhere', manifest: {} as SnapshotManifest })
    this.become({ status: 'ready', id })
    return id
  }

  become(status: SnapshotStatus): void {
    this.#status = status
    if (status.status !== 'ready') this.#ofImage.clear()
    for (const listener of this.#listeners) listener()
  }

  async of({ id }: ImageFiles): Promise<SnapshotFiles | undefined> {
    return this.#ofImage.get(id)
  }

  reject(id: string, reason: unknown): void {
    this.rejected.push(id)
    this.become({ status: 'building', code: 'snapshot_corrupt', why: String(reason) })
  }

  status = (): SnapshotStatus => this.#status
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  rebuild = (): void => {}
  run = async (): Promise<void> => {}
  collect = async (): Promise<string[]> => []
}
