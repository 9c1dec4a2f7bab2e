import { z } from 'zod'
import { imageId, snapshotId } from './ids.ts'
import { imageFile } from './image.ts'

/**
 * Everything that a saved machine depends on. A state that was saved under one of these is never loaded under another: at best it
 * fails, at worst the guest goes wrong later.
 */
export const snapshotKey = z.object({
  image_id: imageId,
  /** First line of the monitor's `--version`. */
  vmm_version: z.string(),
  accelerator: z.enum(['kvm', 'tcg']),
  /** The host's processor where the guest sees it (KVM); null under emulation, which is the same everywhere. */
  host_cpu: z.string().nullable(),
  memory_mib: z.number().int(),
  vcpus: z.number().int(),
  /** The monitor's arguments that make up the machine: type, processor, devices. */
  machine: z.array(z.string()),
})
export type SnapshotKey = z.infer<typeof snapshotKey>

/** The snapshot's id is the SHA-256 of this text, see `snapshotId`. */
export const snapshotKeyText = (key: SnapshotKey): string =>
  JSON.stringify([key.image_id, key.vmm_version, key.accelerator, key.host_cpu, key.memory_mib, key.vcpus, key.machine])

/** `manifest.json` beside a snapshot's files. */
export const snapshotManifest = z.object({
  format: z.literal(1),
  id: snapshotId,
  key: snapshotKey,
  /** The machine's memory, with holes where it is zero. */
  memory: imageFile,
  /** Processors and devices: less than a megabyte. */
  state: imageFile,
  built_at: z.iso.datetime(),
  /** From the start of the monitor. */
  boot: z.object({ hello_ms: z.number().int(), painted_ms: z.number().int(), settled_ms: z.number().int() }),
  /** How it was tested before it was published: restored once, claimed, its picture compared with the saved one. */
  restore_test: z.object({
    loaded_ms: z.number().int(),
    painted_ms: z.number().int(),
    different_pixels: z.number().int(),
    pixels: z.number().int(),
  }),
})
export type SnapshotManifest = z.infer<typeof snapshotManifest>
