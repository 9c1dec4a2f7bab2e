import { mkdir, mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, Scope, systemErrorCode } from '@anteroom/base'

const MiB = 1024 * 1024

/** A file system of its own, so that a disk that is full, or lets nobody write, is only this one. Needs root. */
export class SmallDisk {
  readonly #root: string
  readonly #scope = Scope.root('small disk')
  private constructor(root: string) {
    this.#root = root
  }

  static async make(sizeMiB = 64): Promise<SmallDisk> {
    const disk = new SmallDisk(await mkdtemp(join(tmpdir(), 'anteroom-disk-')))
    const image = join(disk.#root, 'image')
    await writeFile(image, '')
    await truncate(image, sizeMiB * MiB)
    await disk.#run('mkfs.ext4', ['-q', '-F', '-m', '0', image])
    for (const directory of [disk.directory, disk.readOnly]) await mkdir(directory)
    await disk.#run('mount', ['-o', 'loop', image, disk.directory])
    return disk
  }

  get directory(): string {
    return join(this.#root, 'disk')
  }

  /** The same once more, after `showReadOnly`. */
  get readOnly(): string {
    return join(this.#root, 'read-only')
  }

  async showReadOnly(): Promise<void> {
    await this.#run('mount', ['--bind', this.directory, this.readOnly])
    await this.#run('mount', ['-o', 'remount,bind,ro', this.readOnly])
  }

  /** To the last byte; gives what makes room again. */
  async fill(): Promise<() => Promise<void>> {
    const path = join(this.directory, 'filler')
    await using file = await open(path, 'w')
    for (const bytes of [MiB, 4096]) await writeUntilFull(file, Buffer.alloc(bytes, 1))
    return () => rm(path)
  }

  /** Nobody writes to this file any more, not even who has it open; gives what undoes it. */
  async freeze(path: string): Promise<() => Promise<void>> {
    await this.#run('chattr', ['+i', path])
    return () => this.#run('chattr', ['-i', path])
  }

  async remove(): Promise<void> {
    // Both, where it is shown twice.
    await this.#run('umount', ['--recursive', this.directory])
    await this.#run('umount', [this.readOnly]).catch(() => {})
    await rm(this.#root, { recursive: true })
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    await runCommand(this.#scope, program, args)
  }
}

async function writeUntilFull(file: { write(data: Buffer): Promise<unknown>; sync(): Promise<void> }, data: Buffer) {
  try {
    for (;;) await file.write(data)
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOSPC') throw error
    await file.sync()
  }
}
