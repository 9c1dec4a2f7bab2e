import type { VmmLimits } from './cgroup.ts'

export type Accelerator = 'kvm' | 'tcg'

export type VmmNetwork =
  /** A tap that exists in a named network namespace; QEMU runs inside that namespace. */
  | { readonly kind: 'tap'; readonly namespace: string; readonly tap: string }
  /** QEMU's own network stack, restricted: forwards from `ip` at `ports` to the guest, and nothing else in any direction. */
  | { readonly kind: 'user'; readonly ip: string; readonly ports: readonly number[] }

/** How a machine begins. */
export type VmmOrigin =
  | {
      readonly kind: 'boot'
      readonly kernel: string
      readonly initrd: string
      /** Kernel command line, without the console. */
      readonly commandLine: string
      /**
       * Existing file of exactly `memoryMiB` that is the machine's memory, so that `saveVmm` can save the machine; null: memory of
       * its own, gone with the process.
       */
      readonly memoryFile: string | null
    }
  /** What `saveVmm` saved. The memory file is mapped copy-on-write: machines share its pages and never change it. */
  | { readonly kind: 'snapshot'; readonly memoryFile: string; readonly stateFile: string }

export interface VmmSpec {
  /** Machine id; on the command line, so that `ps` tells which process is which machine. */
  readonly id: string
  /** Six characters that tell the machines of one state directory from those of another on the same host. */
  readonly instance: string
  readonly binary: string
  readonly accelerator: Accelerator
  readonly origin: VmmOrigin
  /** `paused`: loaded, its processors not run yet; only a snapshot can be. */
  readonly wanted: 'running' | 'paused'
  /** Raw image, attached read-only as the first virtio disk; null for none. */
  readonly rootfs: string | null
  readonly memoryMiB: number
  readonly vcpus: number
  readonly network: VmmNetwork | null
  /** User and group that QEMU changes to before the guest runs; null: stay the caller. Only root can change. */
  readonly runAs: number | null
  /** What it may take of the host; left out: it lives for seconds, and nobody's guest is in it. */
  readonly limits?: VmmLimits
  /** Existing directory of this machine alone, mode 0700: socket, console, log, identity. */
  readonly directory: string
}
