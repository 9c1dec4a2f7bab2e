import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the image is made of, as plain files: packages, paths left out, and every file that is put in. */
export const recipeDirectory = join(import.meta.dirname, '..', 'recipe')

export const suite = 'trixie'

/**
 * Without the console, which is the monitor's business. IPv6 is off because nothing routes it; a kernel that is in doubt
 * stops, and the controller says so, rather than going on with a person's password in memory.
 */
export const kernelCommandLine = 'oops=panic panic=-1 loglevel=4 ipv6.disable=1 net.ifnames=0'

/** Drivers that the initial RAM disk loads, besides what the kernel has built in; dependencies are found in the modules. */
export const kernelModules = ['virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_rng', 'ext4', 'overlay']

/** Programs that must be there: found missing before the machine is booted, where the message can be exact. */
export const requiredPrograms = [
  { name: 'Chromium', path: 'usr/lib/chromium/chromium' },
  { name: 'Xtigervnc', path: 'usr/bin/Xtigervnc' },
  { name: 'openbox', path: 'usr/bin/openbox' },
  { name: 'node', path: 'usr/bin/node' },
  { name: 'busybox', path: 'usr/bin/busybox' },
  { name: 'the guest agent', path: 'opt/anteroom/agent.mjs' },
]

/** Lines of a recipe file without comments and blanks. */
export async function recipeLines(name: 'packages' | 'excluded-paths'): Promise<string[]> {
  const text = await readFile(join(recipeDirectory, name), 'utf8')
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

/** Every file under `directory`, sorted, relative to it. */
export async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}
