import { readdir, readFile } from 'node:fs/promises'
import { AppError, CommandError, createSerialiser, Scope, systemErrorCode } from '@anteroom/base'
import { z } from 'zod'
import { ipBatch, ipCommand } from './ip-command.ts'
import { ipv4Range, ipv4Text } from './ipv4-range.ts'
import { guestPeerIp, type Slot, type Slots, slotTable } from './slot.ts'
import { indexOfName, tapNames } from './tap-names.ts'
import { tableName, tapRuleset } from './tap-ruleset.ts'

const addressesOfSlot = 4
/** Takes a few milliseconds where it can be done at all. */
const reclaimMs = 5_000
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
  /** Left of a larger pool that was configured before: to be removed only, which takes its names alone. */
  const beyond = (index: number): Slot => ({ ...at(0), index })

  async function make(slot: Slot, scope: Scope): Promise<void> {
    const { namespace, hostLink, uplink, tap } = tapNames(tag, slot.index)
    const inside = (input: string, ...command: string[]) =>
      ipCommand(scope, ['netns', 'exec', namespace, ...command], input)
    await ipBatch(
      scope,
      [],
      [
        `netns add ${namespace}`,
        `link add ${hostLink} type veth peer name ${uplink} netns ${namespace}`,
        `addr add ${hostIpOf(slot)}/30 dev ${hostLink}`,
      ],
    )
    // The rules before any link is up: at no time does anything pass that they forbid.
    await Promise.all([
      inside(tapRuleset({ host: hostIpOf(slot), machine: slot.ip }), 'nft', '-f', '-'),
      // `tee`, because the file is the namespace's own, and `sysctl` is not installed everywhere.
      inside('1\n', 'tee', '/proc/sys/net/ipv4/ip_forward'),
    ])
    await ipBatch(
      scope,
      ['-n', namespace],
      [
        `tuntap add dev ${tap} mode tap vnet_hdr`,
        `addr add ${guestPeerIp}/30 dev ${tap}`,
        `link set ${tap} up`,
        `addr add ${slot.ip}/30 dev ${uplink}`,
        `link set ${uplink} up`,
      ],
    )
    await ipCommand(scope, ['link', 'set', hostLink, 'up'])
    await requireRoute(slot.ip, hostLink, scope)
  }

  async function isComplete(slot: Slot, scope: Scope): Promise<boolean> {
    const { namespace, hostLink, uplink, tap } = tapNames(tag, slot.index)
    if (!(await namespaceNames()).includes(namespace)) return false
    try {
      const [inside, outside] = await Promise.all([
        addressesOf(['-n', namespace], scope),
        addressesOf([], scope),
        ipCommand(scope, ['netns', 'exec', namespace, 'nft', 'list', 'table', 'inet', tableName]),
      ])
      return (
        hasAddress(inside, tap, guestPeerIp) &&
        hasAddress(inside, uplink, slot.ip) &&
        hasAddress(outside, hostLink, hostIpOf(slot))
      )
    } catch (error) {
      if (error instanceof CommandError) return false
      throw error
    }
  }

  async function remove(slot: Slot, scope: Scope): Promise<void> {
    const { namespace, hostLink } = tapNames(tag, slot.index)
    await scope.until(async () => {
      const [namespaces, links] = await Promise.all([namespaceNames(), linkNames()])
      // The link by name: the kernel takes a namespace apart later, and never while a process lives in it.
      const left = [
        ...(links.includes(hostLink) ? [`link delete ${hostLink}`] : []),
        ...(namespaces.includes(namespace) ? [`netns delete ${namespace}`] : []),
      ]
      if (left.length === 0) return true
      await attempt(left, scope)
      return undefined
    }, 2)
  }

  /** What is there under the slot's names already: ours, and in nobody's use. */
  async function reclaim(slot: Slot, scope: Scope): Promise<void> {
    const { namespace } = tapNames(tag, slot.index)
    try {
      await scope.run({ name: `reclaiming network slot ${slot.index}`, deadlineMs: reclaimMs }, (inner) =>
        remove(slot, inner),
      )
    } catch (error) {
      scope.throwIfOver()
      if (!(error instanceof AppError) || error.code !== 'deadline_exceeded') throw error
      throw new AppError('network_setup_failed', {
        detail: `${namespace} is there already and cannot be removed`,
        cause: error,
      })
    }
  }

  async function prepare(slot: Slot, scope: Scope): Promise<void> {
    if (await isComplete(slot, scope)) return
    await reclaim(slot, scope)
    try {
      await scope.run({ name: `network slot ${slot.index}`, deadlineMs: 20_000 }, async (inner) => {
        inner.undo(() => remove(slot, Scope.root(`removal of network slot ${slot.index}`, scope.log, scope.clock)))
        await make(slot, inner)
      })
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      throw new AppError('network_setup_failed', { detail: error.message, cause: error })
    }
  }

  /** What was given up is undone before anybody else has the slot: else it would take away what they have made meanwhile. */
  const oneAtATime = createSerialiser()

  return {
    kind: 'tap',
    size,
    at: (index) => (index < size ? at(index) : beyond(index)),
    prepare: (slot, scope) => oneAtATime(`${slot.index}`, () => prepare(slot, scope)),
    async isThere(slot) {
      const { namespace, hostLink } = tapNames(tag, slot.index)
      const [namespaces, routes] = await Promise.all([namespaceNames(), readFile('/proc/net/route', 'utf8')])
      // The link's own network has a route as long as the link is up and has its address.
      return namespaces.includes(namespace) && routes.split('\n').some((line) => line.startsWith(`${hostLink}\t`))
    },
    remove: (slot, scope) =>
      scope.run({ name: `removal of network slot ${slot.index}`, deadlineMs: 20_000 }, (inner) =>
        oneAtATime(`${slot.index}`, () => remove(slot, inner)),
      ),
    async list() {
      const indices = [...(await namespaceNames()), ...(await linkNames())]
        .map((name) => indexOfName(tag, name))
        .filter((i) => i !== undefined)
      return [...new Set(indices)].sort((a, b) => a - b)
    },
  }
}

const addressList = z.array(
  z.object({
    ifname: z.string(),
    flags: z.array(z.string()),
    addr_info: z.array(z.object({ local: z.string().optional() })),
  }),
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

/** Those of this process's network namespace, whatever /sys was mounted in. */
async function linkNames(): Promise<string[]> {
  const table = await readFile('/proc/net/dev', 'utf8')
  return [...table.matchAll(/^ *(\S+):/gm)].flatMap(([, name]) => name ?? [])
}

async function addressesOf(where: readonly string[], scope: Scope): Promise<z.infer<typeof addressList>> {
  const { stdout } = await ipCommand(scope, [...where, '-j', '-4', 'addr', 'show'])
  return addressList.parse(JSON.parse(stdout))
}

/** Is the link up, with this address? */
const hasAddress = (links: z.infer<typeof addressList>, link: string, address: string): boolean =>
  links.some(
    ({ ifname, flags, addr_info }) =>
      ifname === link && flags.includes('UP') && addr_info.some(({ local }) => local === address),
  )

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
async function attempt(deletions: readonly string[], scope: Scope): Promise<void> {
  try {
    await ipBatch(scope, ['-force'], deletions)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    scope.log.debug({ error: error.message }, 'could not remove a part of a network slot yet')
  }
}
