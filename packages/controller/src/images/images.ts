import type { ImageManifest } from '@anteroom/contract'

/** A published image on disk; the files are read-only and never change. */
export interface ImageFiles {
  readonly id: string
  /** Absolute; contains manifest.json, kernel, initrd, rootfs. */
  readonly directory: string
  readonly manifest: ImageManifest
}
