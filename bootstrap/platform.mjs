import { readFile } from 'node:fs/promises'
import { SetUpError } from './process.mjs'

const supported = { debian: ['12', '13'], ubuntu: ['24.04'] }

/**
 * Where this runs. `isSupported`: its packages are known by name; elsewhere they must be there already.
 * @returns {Promise<{ name: string, id: string, isSupported: boolean }>}
 */
export async function checkPlatform() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new SetUpError(`Anteroom runs on Linux on x86-64; this is ${process.platform} on ${process.arch}.`)
  const [major] = process.versions.node.split('.')
  if (Number(major) < 20)
    throw new SetUpError(`Node ${process.versions.node} is too old to start Anteroom; install Node 20 or newer.`)
  const release = parseOsRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''))
  const id = release.ID ?? 'unknown'
  return {
    name: release.PRETTY_NAME ?? 'this system',
    id,
    isSupported: supported[id]?.includes(release.VERSION_ID) ?? false,
  }
}

/** os-release(5): shell-compatible assignments, values possibly quoted. */
export const parseOsRelease = (text) =>
  Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(["']?)(.*)\2$/gm)].map(([, name, , value]) => [name, value]))
