import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, CommandError, Scope, systemErrorCode } from '@anteroom/base'
import { z } from 'zod'
import { ipCommand } from './ip-command.ts'
import { ipv4Range, ipv4Text } from './ipv4-range.ts'
import { guestPeerIp, type Slot, type Slots, slotTable } from './slot.ts'
import { indexOfName, tapNames } from './tap-names.ts'
import { tableName, tapRuleset } from './tap-ruleset.ts'

const addressesOfSlot = 4
/** Where `ip netns` keeps its names (ip-netns(8)). */
const namespaceDirectory = '/var/run/netns'

/**
 * Slot i is a network namespace that holds the tap, with a link to the host whose inner end is the machine's address. All
 * rules live inside the namespace: deleting it leaves nothing behind.
 */
export function openTapSlots({ tag, pool }: { readonly tag: string; readonly pool: string }): Slots {
  const range = ipv4Range(pool)
  const networkOf = (index: number) => range.first + index * addressesOfSlot
  const hostIpOf = (slot: Slot): string => ipv4Text(networkOf(slot.index) + 1)
  const count = Math.floor((range.last - range.first + 1) / addressesOfSlot)
  const { size, at } = slotTable('tap', pool, count, (index) => ipv4Text(networkOf(index) + 2))

  async function make(slot: Slot, scope: Scope): Promise<void> {
    const { namespace, hostLink, uplink, tap } = tapNames(tag, slot.index)
    const run = (...args: string[]) => ipCommand(scope, args)
    const inside = (input: string, ...command: string[]) =>
      ipCommand(scope, ['netns', 'exec', namespace, ...command], input)
    await run('netns', 'add', namespace)
    // The rules before the links: at no time does anything pass that they forbid.
    await inside(tapRuleset({ host: hostIpOf(slot), machine: slot.ip }), 'nft', '-f', '-')
    // `tee`, because the file is the namespace's own, and `sysctl` is not installed everywhere.
    await inside('1\n', 'tee', '/proc/sys/net/ipv4/ip_forward')
    await run('-n', namespace, 'tuntap', 'add', 'dev', tap, 'mode', 'tap', 'vnet_hdr')
    await run('-n', namespace, 'addr', 'add', `${guestPeerIp}/30`, 'dev', tap)
    await run('-n', namespace, 'link', 'set', tap, 'up')
    await run('link', 'add', hostLink, 'type', 'veth', 'peer', 'name', uplink, 'netns', namespace)
    await run('-n', namespace, 'addr', 'add', `${slot.ip}/30`, 'dev', uplink)
    await run('-n', namespace, 'link', 'set', uplink, 'up')
    await run('addr', 'add', `${hostIpOf(slot)}/30`, 'dev', hostLink)
    await run('link', 'set', hostLink, 'up')
    await requireRoute(slot.ip, hostLink, scope)
  }

  async function isComplete(slot: Slot, scope: Scope): Promise<boolean> {
    const { namespace, hostLink, uplink, tap } = tapNames(tag, slot.index)
    try {
      await ipCommand(scope, ['netns', 'exec', namespace, 'nft', 'list', 'table', 'inet', tableName])
      return (
        (await hasAddress(['-n', namespace], tap, guestPeerIp, scope)) &&
        (await hasAddress(['-n', namespace], uplink, slot.ip, scope)) &&
        (await hasAddress([], hostLink, hostIpOf(slot), scope))
      )
    } catch (error) {
      if (error instanceof CommandError) return false
      throw error
    }
  }

  async function exists(scope: Scope): Promise<{ namespaces: string[]; links: string[] }> {
    const { stdout } = await ipCommand(scope, ['-j', 'link', 'show', 'type', 'veth'])
    return { namespaces: await namespaceNames(), links: linkList.parse(JSON.parse(stdout)).map((link) => link.ifname) }
  }

  async function remove(slot: Slot, scope: Scope): Promise<void> {
    const { namespace, hostLink } = tapNames(tag, slot.index)
    await scope.until(async () => {
      const { namespaces, links } = await exists(scope)
      if (!namespaces.includes(namespace) && !links.includes(hostLink)) return true
      // The link by name: the kernel takes a namespace apart later, and never while a process lives in it.
      if (links.includes(hostLink)) await attempt(['link', 'delete', hostLink], scope)
      if (namespaces.includes(namespace)) await attempt(['netns', 'delete', namespace], scope)
      return undefined
    }, 2)
  }

  return {
    kind: 'tap',
    size,
    at,
    async prepare(slot, scope) {
      if (await isComplete(slot, scope)) return
      await remove(slot, scope)
      try {
        await scope.run({ name: `network slot ${slot.index}`, deadlineMs: 20_000 }, async (inner) => {
          inner.undo(() => remove(slot, Scope.root(`removal of network slot ${slot.index}`, scope.log, scope.clock)))
          await make(slot, inner)
        })
      } catch (error) {
        if (!(error instanceof CommandError)) throw error
        throw new AppError('network_setup_failed', { detail: error.message, cause: error })
      }
    },
    async isThere(slot) {
      const { namespace, hostLink } = tapNames(tag, slot.index)
      try {
        await access(join(namespaceDirectory, namespace))
        return (await readFile(join('/sys/class/net', hostLink, 'operstate'), 'utf8')).trim() === 'up'
      } catch {
        return false
      }
    },
    remove: (slot, scope) =>
      scope.run({ name: `removal of network slot ${slot.index}`, deadlineMs: 20_000 }, (inner) => remove(slot, inner)),
    async list(scope) {
      const { namespaces, links } = await exists(scope)
      const indices = [...namespaces, ...links].map((name) => indexOfName(tag, name)).filter((i) => i !== undefined)
      return [...new Set(indices)].filter((index) => index < size).sort((a, b) => a - b)
    },
  }
}

const linkList = z.array(z.object({ ifname: z.string() }))
const addressList = z.array(
  z.object({ flags: z.array(z.string()), addr_info: z.array(z.object({ local: z.string().optional() })) }),
)
const routeList = z.array(z.object({ dev: z.string() }))

async function namespaceNames(): Promise<string[]> {
  try {
    return await readdir(namespaceDirectory)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Is the link up, with this address? An empty answer is one of a link that has none. */
async function hasAddress(where: readonly string[], link: string, address: string, scope: Scope): Promise<boolean> {
  const { stdout } = await ipCommand(scope, [...where, '-j', '-4', 'addr', 'show', 'dev', link])
  const [found] = addressList.parse(JSON.parse(stdout))
  return Boolean(found?.flags.includes('UP') && found.addr_info.some((info) => info.local === address))
}

/**
 * Another controller with the same pool may have made the same address a moment ago; then packets for this machine would
 * reach that one's.
 */
async function requireRoute(ip: string, link: string, scope: Scope): Promise<void> {
  const { stdout } = await ipCommand(scope, ['-j', 'route', 'get', ip])
  const dev = routeList.parse(JSON.parse(stdout))[0]?.dev
  if (dev !== link)
    throw new AppError('network_setup_failed', {
      detail: `${ip} of network.pool leads to ${dev}, not to ${link}: another network of this host has that address`,
    })
}

/** Half-made things refuse to be deleted in one order or the other; the caller looks again. */
async function attempt(args: readonly string[], scope: Scope): Promise<void> {
  try {
    await ipCommand(scope, args)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    scope.log.debug({ error: error.message }, 'could not remove a part of a network slot yet')
  }
}
