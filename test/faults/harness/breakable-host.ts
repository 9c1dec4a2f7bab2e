import { mkdtempSync } from 'node:fs'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { runCommand, Scope } from '@anteroom/base'
import type { Setting } from '../../harness/controller-process.ts'

export const scope = Scope.root('faults')
export const ip = (...words: string[]): Promise<unknown> => runCommand(scope, 'ip', words)

/** The real one, by another name. */
const goodMonitor = 'exec qemu-system-x86_64 "$@"'

/**
 * What a controller stands on, so that a test can take it away: a monitor that is a script, `nft` before the real one in PATH, and a
 * file system of its own for the state directory.
 */
export class BreakableHost {
  readonly #root = mkdtempSync(join(tmpdir(), 'anteroom-faults-'))
  /** For `vmm.binary`. */
  readonly monitor = join(this.#root, 'monitor')
  readonly #programs = join(this.#root, 'programs')
  readonly #nftBroken = join(this.#root, 'nft-broken')
  readonly #disk = join(this.#root, 'disk')

  async prepare(): Promise<Setting> {
    await this.#writeMonitor(goodMonitor)
    await mkdir(this.#programs)
    const nft = join(this.#programs, 'nft')
    await writeFile(
      nft,
      `#!/bin/sh
[ -e ${this.#nftBroken} ] && echo 'nft: Operation not supported' >&2 && exit 1
PATH="\${PATH#*:}" exec nft "$@"
`,
    )
    await chmod(nft, 0o755)
    await mkdir(this.#disk)
    // Memory is taken for what is written only.
    await runCommand(scope, 'mount', ['-t', 'tmpfs', '-o', 'size=768m,mode=0755', 'anteroom-faults', this.#disk])
    return {
      parent: this.#disk,
      env: { PATH: `${this.#programs}${delimiter}${process.env.PATH}${delimiter}/usr/sbin` },
    }
  }

  async #writeMonitor(script: string): Promise<void> {
    // Another file each time: which version it is is remembered by the file.
    await rm(this.monitor, { force: true })
    await writeFile(this.monitor, `#!/bin/sh\n${script}\n`)
    await chmod(this.monitor, 0o755)
  }

  /** The monitor is this script; gives what undoes it. */
  async replaceMonitor(script: string): Promise<() => Promise<void>> {
    await this.#writeMonitor(script)
    return () => this.#writeMonitor(goodMonitor)
  }

  /** The monitor still says its version, and does this instead of running a machine. */
  replaceMachine(script: string): Promise<() => Promise<void>> {
    return this.replaceMonitor(`case " $* " in *" --version "*) ${goodMonitor} ;; esac\n${script}`)
  }

  async removeMonitor(): Promise<() => Promise<void>> {
    await rm(this.monitor)
    return () => this.#writeMonitor(goodMonitor)
  }

  async forbidMonitor(): Promise<() => Promise<void>> {
    await chmod(this.monitor, 0o644)
    return () => this.#writeMonitor(goodMonitor)
  }

  async breakNft(): Promise<() => Promise<void>> {
    await writeFile(this.#nftBroken, '')
    return () => rm(this.#nftBroken)
  }

  /** Not a byte is free in the state directory; gives what undoes it. */
  async fillDisk(): Promise<() => Promise<void>> {
    return await fillDirectory(this.#disk)
  }

  async remove(): Promise<void> {
    await runCommand(scope, 'umount', [this.#disk])
    await rm(this.#root, { recursive: true })
  }
}

/** Not a byte is free any more on its file system; gives what undoes it. */
export async function fillDirectory(directory: string): Promise<() => Promise<void>> {
  const ballast = join(directory, 'ballast')
  // Ends with an error: there is no more.
  await runCommand(scope, 'dd', ['if=/dev/zero', `of=${ballast}`, 'bs=64k']).catch(() => {})
  return () => rm(ballast)
}

/** Runs a program in a world without, or with another, part of the host: `script` changes a mount namespace of its own before. */
export const inOtherMounts = (script: string): readonly string[] => [
  ...['unshare', '--mount', 'sh', '-ec', `${script}\nexec "$@"`, 'sh'],
]

/** As root without these capabilities. */
export const without = (...capabilities: string[]): readonly string[] => {
  const list = capabilities.map((name) => `-${name}`).join(',')
  return ['setpriv', `--bounding-set=${list}`, `--inh-caps=${list}`]
}
