import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, runCommand, type Scope } from '@anteroom/base'
import type { ComposedSystem } from './compose-system.ts'
import { cpioArchive } from './cpio-archive.ts'
import { inLoadOrder, type KernelModule, moduleName } from './kernel-modules.ts'
import { filesUnder, kernelModules, recipeDirectory } from './recipe.ts'

/**
 * Writes `kernel` and `initrd` to the directory, from the kernel's package; gives the kernel's version.
 * @throws AppError image_build_failed
 */
export async function makeBootFiles(system: ComposedSystem, directory: string, scope: Scope): Promise<string> {
  const unpacked = join(system.kernelDirectory, 'unpacked')
  const archive = (await readdir(system.kernelDirectory)).find((name) => name.endsWith('.deb'))
  if (!archive) throw new AppError('image_build_failed', { detail: 'no kernel package was downloaded' })
  await runCommand(scope, 'dpkg-deb', ['--extract', join(system.kernelDirectory, archive), unpacked])
  const image = (await readdir(join(unpacked, 'boot'))).find((name) => name.startsWith('vmlinuz-'))
  if (!image) throw new AppError('image_build_failed', { detail: `${archive} has no kernel in it` })
  const kernelVersion = image.slice('vmlinuz-'.length)
  const busybox = join(system.root, 'usr/bin/busybox')
  const modules = await readModules(join(unpacked, 'usr/lib/modules', kernelVersion), busybox, scope)

  await copyFile(join(unpacked, 'boot', image), join(directory, 'kernel'))
  await writeFile(join(directory, 'initrd'), await initialRamDisk(modules, busybox))
  return kernelVersion
}

/** The modules are compressed with xz; the busybox of the image unpacks them, so that the host needs nothing for it. */
async function readModules(directory: string, busybox: string, scope: Scope): Promise<KernelModule[]> {
  const builtin = new Set((await readFile(join(directory, 'modules.builtin'), 'utf8')).split('\n').map(moduleName))
  const files = new Map((await filesUnder(directory)).map((path) => [moduleName(path), join(directory, path)]))
  return await inLoadOrder(kernelModules, async (name) => {
    if (builtin.has(name)) return undefined
    const path = files.get(name)
    if (!path) throw new AppError('image_build_failed', { detail: `the kernel has no module ${name}` })
    if (path.endsWith('.xz')) await runCommand(scope, busybox, ['unxz', path])
    return await readFile(path.replace(/\.xz$/, ''))
  })
}

/** Not compressed: emulated, unpacking takes longer than reading 5 MB more. */
async function initialRamDisk(modules: readonly KernelModule[], busybox: string): Promise<Buffer> {
  const directories = ['bin', 'dev', 'lower', 'modules', 'proc', 'root', 'upper']
  return cpioArchive([
    ...directories.map((path) => ({ path, mode: 0o40755 })),
    { path: 'init', mode: 0o100755, content: await readFile(join(recipeDirectory, 'initrd/init')) },
    { path: 'bin/busybox', mode: 0o100755, content: await readFile(busybox) },
    ...modules.map(({ name, content }) => ({ path: `modules/${name}.ko`, mode: 0o100644, content })),
    { path: 'modules/order', mode: 0o100644, content: Buffer.from(modules.map(({ name }) => `${name}.ko\n`).join('')) },
  ])
}
