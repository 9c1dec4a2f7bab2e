import { createHash } from 'node:crypto'
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { acquireLock, runCommand, type Scope } from '@anteroom/base'
import { type ImageManifest, imageManifest, type SnapshotKey, snapshotId, snapshotManifest } from '@anteroom/contract'
import { snapshotIdOf } from '@anteroom/snapshot'
import { cpioArchive } from '../../packages/image/src/cpio-archive.ts'
import { imageIdOf } from '../../packages/image/src/publish.ts'
import { builtImages } from './controller-process.ts'

const imageFiles = ['kernel', 'initrd', 'rootfs'] as const
const snapshotFiles = ['memory', 'state'] as const

/** Of snapshots; locks and half-made ones are beside them. */
const idsIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((name) => snapshotId.safeParse(name).success)

/** Golden images and snapshots for one test to damage or add to: the files are those that were built, until it copies them. */
export class GoldenCopy {
  readonly #root: string
  private constructor(root: string) {
    this.#root = root
  }

  static async make(): Promise<GoldenCopy> {
    const copy = new GoldenCopy(await mkdtemp(join(tmpdir(), 'anteroom-golden-')))
    const built = join(builtImages, '..')
    const current = await readlink(join(builtImages, 'current'))
    await mkdir(copy.images)
    await symlink(join(builtImages, current), join(copy.images, current))
    await symlink(current, join(copy.images, 'current'))
    await mkdir(copy.#snapshots, { mode: 0o700 })
    for (const id of await idsIn(join(built, 'snapshots'))) {
      const manifest = await readFile(join(built, 'snapshots', id, 'manifest.json'), 'utf8')
      if (snapshotManifest.parse(JSON.parse(manifest)).key.image_id !== current) continue
      const own = join(copy.#snapshots, id)
      await mkdir(own)
      for (const name of [...snapshotFiles, 'manifest.json'])
        await symlink(join(built, 'snapshots', id, name), join(own, name))
    }
    await symlink(join(built, 'cache'), join(copy.#root, 'cache'))
    return copy
  }

  /** What a controller is given; its snapshots are beside. */
  get images(): string {
    return join(this.#root, 'images')
  }

  get #snapshots(): string {
    return join(this.#root, 'snapshots')
  }

  /** Of every snapshot one byte in the middle of the memory is another. */
  async damageMemory(scope: Scope): Promise<void> {
    const ids = await idsIn(this.#snapshots)
    if (ids.length === 0) throw new Error('there is no golden snapshot to damage; npm test builds one')
    for (const id of ids) {
      const path = join(this.#snapshots, id, 'memory')
      const built = await realpath(path)
      await rm(path)
      await runCommand(scope, 'cp', ['--reflink=auto', '--sparse=always', built, path])
      await using file = await open(path, 'r+')
      const middle = Math.floor((await file.stat()).size / 2)
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, middle)
      await file.write(Buffer.of(buffer.readUInt8(0) ^ 1), 0, 1, middle)
    }
  }

  /** Of every snapshot its key says something else than the machine that would be made here; gives what undoes it. */
  async relabelSnapshots(change: Partial<SnapshotKey>): Promise<() => Promise<void>> {
    const kept = join(this.#root, 'kept')
    await rename(this.#snapshots, kept)
    await mkdir(this.#snapshots, { mode: 0o700 })
    for (const saved of await idsIn(kept)) {
      const snapshot = snapshotManifest.parse(await this.#json('kept', saved))
      const key = { ...snapshot.key, ...change }
      const id = snapshotIdOf(key)
      await this.#add('snapshots', id, snapshotFiles, ['kept', saved], { ...snapshot, id, key })
    }
    return async () => {
      await rm(this.#snapshots, { recursive: true })
      await rename(kept, this.#snapshots)
    }
  }

  /** How the current image was made. */
  async manifest(): Promise<ImageManifest> {
    return imageManifest.parse(await this.#json('images', await readlink(join(this.images, 'current'))))
  }

  /** Kernel, RAM disk and root file system of the current image in a directory of their own, after these commands of debugfs. */
  async candidate(scope: Scope, commands: readonly string[]): Promise<string> {
    const directory = await mkdtemp(join(this.#root, 'candidate-'))
    // The monitor of the boot test is nobody.
    await chmod(directory, 0o755)
    const current = join(this.images, await readlink(join(this.images, 'current')))
    for (const name of imageFiles)
      await runCommand(scope, 'cp', ['--reflink=auto', '--sparse=always', join(current, name), join(directory, name)])
    const rootfs = join(directory, 'rootfs')
    await chmod(rootfs, 0o644)
    for (const command of commands) await runCommand(scope, 'debugfs', ['-w', '-R', command, rootfs])
    return directory
  }

  /** The current image has this file changed; gives what undoes it. */
  async changeImageFile(name: 'kernel' | 'initrd', change: (content: Buffer) => Buffer): Promise<() => Promise<void>> {
    const current = join(this.images, await readlink(join(this.images, 'current')))
    const built = await realpath(current)
    await rm(current)
    await mkdir(current)
    for (const file of [...imageFiles, 'manifest.json']) await symlink(join(built, file), join(current, file))
    await rm(join(current, name))
    await writeFile(join(current, name), change(await readFile(join(built, name))))
    return async () => {
      await rm(current, { recursive: true })
      await symlink(built, current)
    }
  }

  /** There is no current image; gives what undoes it. */
  async hideImage(): Promise<() => Promise<void>> {
    const link = join(this.images, 'current')
    const current = await readlink(link)
    await rm(link)
    return async () => await symlink(current, link)
  }

  /** As while another process builds: until the scope is over nobody else does. */
  holdBuilds(scope: Scope): void {
    const lock = acquireLock(join(this.#snapshots, '.lock'))
    if (!('release' in lock)) throw new Error('somebody builds already')
    scope.defer(() => lock.release())
  }

  /** As while another process builds an image; gives what ends it. */
  holdImageBuilds(): () => void {
    const lock = acquireLock(join(this.images, '.lock'))
    if (!('release' in lock)) throw new Error('somebody builds already')
    return () => lock.release()
  }

  /**
   * Publishes an image that differs from the current one by a word on the kernel's command line, with a snapshot, and makes it
   * current. The saved machine is the same: that word is read when a machine boots.
   */
  async publishAnother(change: Partial<ImageManifest> = {}): Promise<string> {
    const before = await readlink(join(this.images, 'current'))
    const id = await this.#addImage('anteroom.another', change)
    for (const saved of await idsIn(this.#snapshots)) {
      const snapshot = snapshotManifest.parse(await this.#json('snapshots', saved))
      if (snapshot.key.image_id !== before) continue
      const key = { ...snapshot.key, image_id: id }
      await this.#add('snapshots', snapshotIdOf(key), snapshotFiles, ['snapshots', saved], {
        ...snapshot,
        ...{ id: snapshotIdOf(key), key },
      })
    }
    await this.makeCurrent(id)
    return id
  }

  /** Makes an image current whose machines boot, and then print to their console for ever; gives what undoes it. */
  async publishChatterbox(): Promise<() => Promise<void>> {
    const before = await readlink(join(this.images, 'current'))
    // What is behind the dashes goes to the first process: `busybox yes` with whatever the monitor adds.
    await this.makeCurrent(await this.#addImage('console=ttyS0 rdinit=/bin/busybox -- yes'))
    return () => this.makeCurrent(before)
  }

  /** Like the current one but for these words on the kernel's command line, and `change`. */
  async #addImage(words: string, change: Partial<ImageManifest> = {}): Promise<string> {
    const like = await readlink(join(this.images, 'current'))
    const manifest = imageManifest.parse(await this.#json('images', like))
    const content = { ...manifest, command_line: `${manifest.command_line} ${words}`, ...change }
    const id = imageIdOf(content)
    await this.#add('images', id, imageFiles, ['images', like], { ...content, id })
    return id
  }

  /**
   * Publishes an image that begins with another /init, makes it current, and gives what undoes it. There is no snapshot of it: its
   * machines boot.
   */
  async publishWithInit(init: string): Promise<() => Promise<void>> {
    const before = await readlink(join(this.images, 'current'))
    const manifest = imageManifest.parse(await this.#json('images', before))
    // The kernel unpacks one archive after the other, and what comes later replaces what was there.
    const archive = cpioArchive([{ path: 'init', mode: 0o100755, content: Buffer.from(init) }])
    const initrd = Buffer.concat([await readFile(join(this.images, before, 'initrd')), archive])
    const sha256 = createHash('sha256').update(initrd).digest('hex')
    const content = { ...manifest, initrd: { name: 'initrd', bytes: initrd.length, sha256 } }
    const id = imageIdOf(content)
    await this.#add('images', id, ['kernel', 'rootfs'], ['images', before], { ...content, id })
    await writeFile(join(this.images, id, 'initrd'), initrd)
    await this.makeCurrent(id)
    return () => this.makeCurrent(before)
  }

  async makeCurrent(id: string): Promise<void> {
    await symlink(id, join(this.#root, 'next'))
    await rename(join(this.#root, 'next'), join(this.images, 'current'))
  }

  async #json(kind: 'images' | 'snapshots' | 'kept', id: string): Promise<unknown> {
    return JSON.parse(await readFile(join(this.#root, kind, id, 'manifest.json'), 'utf8'))
  }

  async #add(
    kind: 'images' | 'snapshots',
    id: string,
    files: readonly string[],
    like: readonly [string, string],
    manifest: unknown,
  ) {
    const directory = join(this.#root, kind, id)
    await mkdir(directory)
    for (const name of files) await symlink(await realpath(join(this.#root, ...like, name)), join(directory, name))
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest))
  }

  async remove(): Promise<void> {
    await rm(this.#root, { recursive: true })
  }
}
