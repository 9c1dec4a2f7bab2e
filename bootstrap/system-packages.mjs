import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { capture, run, SetUpError, say } from './process.mjs'

/** `file`: a program, or an absolute path; where it is there, the package is not asked for. */
const isRoot = process.getuid?.() === 0

export const runtimePackages = [
  { name: 'qemu-system-x86', file: 'qemu-system-x86_64', use: 'runs the machines' },
  { name: 'iproute2', file: 'ip', use: 'gives each machine its place on the network' },
  { name: 'nftables', file: 'nft', use: 'lets no packet past that place' },
  { name: 'mmdebstrap', file: 'mmdebstrap', use: 'builds the golden image' },
  { name: 'e2fsprogs', file: 'mke2fs', use: 'makes its file system' },
  {
    name: 'debian-archive-keyring',
    file: '/usr/share/keyrings/debian-archive-keyring.gpg',
    use: 'proves its packages',
  },
]

export const testPackages = [
  { name: 'chromium', file: 'chromium', use: 'is the account owner’s browser in tests' },
  {
    name: 'tigervnc-standalone-server',
    file: 'Xtigervnc',
    use: 'is the screen of agents that are tested without a machine',
  },
  { name: 'openbox', file: 'openbox', use: 'manages the windows on it' },
  {
    name: 'busybox-static',
    file: '/bin/busybox',
    use: 'is all there is in the small guest that monitors are tested with',
  },
]

export const benchPackages = [
  { name: 'websockify', file: 'websockify', use: 'is what the live view’s gateway is compared with' },
]

const ubuntuHasNoChromium = `Ubuntu has Chromium only as a snap, which tests cannot drive. Install one that they can:
  sudo env PLAYWRIGHT_BROWSERS_PATH=/opt/chromium npx playwright-core install --with-deps chromium
  sudo ln -s /opt/chromium/chromium-*/chrome-linux*/chrome /usr/bin/chromium`

/**
 * Installs what is missing, by name, saying so.
 * @returns {Promise<string[]>} every package that is there now and was not before, dependencies included
 */
export async function ensurePackages(packages, platform) {
  const missing = await findMissing(packages)
  if (missing.length === 0) return []
  for (const { name, use } of missing) say(`${name} is missing: it ${use}`)
  if (!platform.isSupported)
    throw new SetUpError(
      `${platform.name} is not one of Debian 12, Debian 13, Ubuntu 24.04; install what is missing by hand.`,
    )
  if (platform.id === 'ubuntu' && missing.some(({ name }) => name === 'chromium'))
    throw new SetUpError(ubuntuHasNoChromium)
  return await install(missing.map(({ name }) => name))
}

async function findMissing(packages) {
  const found = await Promise.all(packages.map(({ file }) => isThere(file)))
  return packages.filter((_, index) => !found[index])
}

/** An ordinary user's PATH lacks the sbin directories that `ip` and `nft` are in. */
async function isThere(file) {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin']
  const candidates = file.startsWith('/') ? [file] : directories.map((directory) => join(directory, file))
  const mode = file.startsWith('/') ? constants.R_OK : constants.X_OK
  for (const candidate of candidates)
    if (
      await access(candidate, mode).then(
        () => true,
        () => false,
      )
    )
      return true
  return false
}

async function install(names) {
  const asRoot = await rootPrefix()
  const installArguments = ['install', '-y', '--no-install-recommends', ...names]
  if (!asRoot)
    throw new SetUpError(
      `Installing needs root. Run this, then start again:\n  sudo apt-get update && sudo apt-get ${installArguments.join(' ')}`,
    )
  say(`Installing ${names.join(', ')}`)
  const before = await installedPackages()
  // One unreachable third-party source must not stop the installation of what the others have.
  if ((await aptGet(asRoot, ['update', '-qq'])) !== 0) say('apt-get update had problems; trying with what it has')
  if ((await aptGet(asRoot, ['-qq', ...installArguments])) !== 0)
    throw new SetUpError(`apt-get could not install ${names.join(', ')}; its messages are above.`)
  const after = await installedPackages()
  return [...after].filter((name) => !before.has(name))
}

/** Removes exactly these. @param {readonly string[]} names */
export async function removePackages(names) {
  const asRoot = await rootPrefix()
  if (!asRoot) throw new SetUpError(`Removing needs root. Run this:\n  sudo apt-get purge -y ${names.join(' ')}`)
  if ((await aptGet(asRoot, ['-qq', 'purge', '-y', ...names])) !== 0)
    throw new SetUpError('apt-get could not remove the packages; its messages are above.')
}

/** What to put before a command so that root runs it; undefined where that cannot be without asking for a password. */
async function rootPrefix() {
  if (isRoot) return []
  return (await capture('sudo', ['-n', 'true'])).code === 0 ? ['sudo', '-n'] : undefined
}

function aptGet(asRoot, args) {
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0']
  const [file, ...rest] = [...asRoot, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...options, ...args]
  // Its errors are on stderr; what dpkg says about each package helps nobody.
  return run(file, rest, { stdio: ['inherit', 'ignore', 'inherit'] })
}

async function installedPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: these are fields of dpkg-query
  const { stdout } = await capture('dpkg-query', ['-W', '-f', '${db:Status-Status} ${binary:Package}\n'])
  const lines = stdout.split('\n').filter((line) => line.startsWith('installed '))
  return new Set(lines.map((line) => line.slice('installed '.length)))
}
