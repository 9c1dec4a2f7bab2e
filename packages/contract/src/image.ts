import { z } from 'zod'
import { imageId } from './ids.ts'

/** A file beside a manifest. */
export const imageFile = z.object({
  name: z.string(),
  bytes: z.number().int(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

/** `manifest.json` beside an image's files. */
export const imageManifest = z.object({
  format: z.literal(1),
  id: imageId,
  /** Digest of everything that went in: builder sources, package list, suite. A rebuild with the same inputs is skipped. */
  inputs_sha256: z.string(),
  agent_protocol: z.number().int(),
  suite: z.string(),
  architecture: z.literal('x86_64'),
  kernel: imageFile,
  initrd: imageFile,
  rootfs: imageFile,
  kernel_version: z.string(),
  /** Kernel command line, without the console. */
  command_line: z.string(),
  packages: z.array(z.object({ name: z.string(), version: z.string() })),
  built_at: z.iso.datetime(),
  build_seconds: z.number(),
  /** How it was tested before it was published. */
  boot_test: z.object({
    accelerator: z.enum(['kvm', 'tcg']),
    hello_ms: z.number().int(),
    painted_ms: z.number().int(),
  }),
  steps: z.array(z.object({ name: z.string(), seconds: z.number() })),
})
export type ImageManifest = z.infer<typeof imageManifest>

export type ImageContent = Pick<ImageManifest, 'kernel' | 'initrd' | 'rootfs' | 'command_line' | 'agent_protocol'>

/** What a machine sees of an image, as one text: the image's id is its SHA-256, see `imageId`. */
export const imageContentText = ({ kernel, initrd, rootfs, command_line, agent_protocol }: ImageContent): string =>
  JSON.stringify([kernel.sha256, initrd.sha256, rootfs.sha256, command_line, agent_protocol])

export const image = imageManifest
  .pick({ id: true, suite: true, kernel_version: true, built_at: true, build_seconds: true, boot_test: true })
  .extend({ current: z.boolean(), bytes: z.number().int(), browser_version: z.string().nullable() })
export type Image = z.infer<typeof image>
