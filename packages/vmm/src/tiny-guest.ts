/** For tests: a guest that boots in seconds and does what it is asked over HTTP. Debian's kernel, busybox, nothing else. */
import { chmod, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand, type Scope } from '@anteroom/base'

export interface TinyGuest {
  readonly kernel: string
  readonly initrd: string
}

/** In the order in which they need each other. */
const modules = [
  ...['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci'],
  ...['failover', 'net_failover', 'virtio_net', 'virtio_blk'],
]

/**
 * Answers at ports 7000, 7001, 5900 and, for tests that it cannot be reached, 8080: `/name` is `guest.name=` of its command
 * line, `/cgi-bin/sh` runs its query string's words as a command and gives output and exit status.
 */
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
word() { sed -n "s/.*$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline; }
grep -q anteroom.probe /proc/cmdline && echo "anteroom: probe ok"
for module in ${modules.join(' ')}; do insmod /modules/$module.ko; done
ip link set lo up
ip addr add 172.16.0.2/30 dev eth0
ip link set eth0 up
ip route add default via 172.16.0.1
word guest.name > /www/name
for port in 7000 7001 5900 8080; do httpd -p $port -h /www; done
echo "guest: serving"
while true; do sleep 3600; done
`
const cgi = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
$(httpd -d "$QUERY_STRING") 2>&1
echo "status $?"
`

/** Makes the guest's files in `directory`. Downloads the kernel's package with apt. */
export async function makeTinyGuest(directory: string, scope: Scope): Promise<TinyGuest> {
  const run = (file: string, args: string[], input?: string, cwd = directory) =>
    runCommand(scope, file, args, { cwd, ...(input !== undefined && { input }) })
  const { stdout } = await run('apt-cache', ['depends', '--important', 'linux-image-cloud-amd64'])
  const name = /Depends: (\S+)/.exec(stdout)?.[1]
  if (!name) throw new Error('apt knows no kernel package')
  await run('apt-get', ['download', '-q', name])
  const archive = (await readdir(directory)).find((file) => file.endsWith('.deb')) ?? ''
  await run('dpkg-deb', ['-x', archive, 'unpacked'])
  const found = (await readdir(join(directory, 'unpacked'), { recursive: true })).map((path) => join('unpacked', path))

  const root = join(directory, 'root')
  for (const part of ['bin', 'modules', 'www/cgi-bin', 'proc', 'sys', 'dev'])
    await mkdir(join(root, part), { recursive: true })
  for (const module of modules) {
    const path = found.find((file) => file.endsWith(`/${module}.ko`))
    if (!path) throw new Error(`the kernel package has no ${module}.ko`)
    await copyFile(join(directory, path), join(root, 'modules', `${module}.ko`))
  }
  await copyFile('/bin/busybox', join(root, 'bin/busybox'))
  await writeFile(join(root, 'init'), init)
  await writeFile(join(root, 'www/cgi-bin/sh'), cgi)
  for (const script of ['init', 'www/cgi-bin/sh', 'bin/busybox']) await chmod(join(root, script), 0o755)
  const files = ['', ...(await readdir(root, { recursive: true }))].map((file) => `./${file}`).join('\n')
  const initrd = join(directory, 'initrd')
  await run('busybox', ['cpio', '-o', '-H', 'newc', '-F', initrd], `${files}\n`, root)
  return { kernel: join(directory, found.find((path) => path.includes('/boot/vmlinuz')) ?? ''), initrd }
}
