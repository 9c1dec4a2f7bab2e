import type { QueueReason } from '@anteroom/contract'
import type { Config } from '../config.ts'
import type { HostMeasurement } from '../host/host.ts'
import { machineMiB } from './memory-plan.ts'

/** For how many more machines something is enough. */
export interface Room {
  readonly code: QueueReason
  readonly more: number
  readonly detail: string
}

type Sizes = Pick<Config, 'vmm' | 'limits'>

/** No disk of a machine is writable: it writes its console, of 16 MiB at the most, which is then kept as evidence. */
const machineDiskMiB = 32
/** The load tells how much wants to run, a minute late; this, whether it still is so. */
const pressedPercent = 50

/** What the host has room for, by what was measured. */
export function roomOf(config: Sizes, host: HostMeasurement): Readonly<Record<'memory' | 'cpu' | 'disk', Room>> {
  const { availableMemoryMiB, totalMemoryMiB, freeDiskMiB } = host
  const needMiB = machineMiB(config)
  return {
    memory: {
      code: 'insufficient_memory',
      more: Math.floor(availableMemoryMiB / needMiB),
      detail: `${availableMemoryMiB} of ${totalMemoryMiB} MiB are available; a machine takes up to ${needMiB}`,
    },
    cpu: cpuRoom(config, host),
    disk: {
      code: 'disk_full',
      more: Math.floor(freeDiskMiB / machineDiskMiB),
      detail: `${freeDiskMiB} MiB are free in the state directory; a machine and its evidence take up to ${machineDiskMiB}`,
    },
  }
}

function cpuRoom({ limits }: Sizes, { load, cores, cpuPressure }: HostMeasurement): Room {
  const isBusy = load[0] > limits.max_load_per_core * cores && (cpuPressure ?? 100) >= pressedPercent
  return {
    code: 'insufficient_cpu',
    more: isBusy ? 0 : Number.POSITIVE_INFINITY,
    detail: `the load is ${load[0].toFixed(1)} on ${cores} cores; limits.max_load_per_core is ${limits.max_load_per_core}`,
  }
}

/** What is enough for the fewest more machines, beside those of `running` sessions. */
export function leastRoom(
  config: Sizes,
  host: HostMeasurement,
  { running, addresses }: { readonly running: number; readonly addresses: number },
): Room {
  const { max_machines } = config.limits
  const rooms: readonly Room[] = [
    {
      code: 'capacity_exhausted',
      more: max_machines - running,
      detail: `${running} machines are in use; limits.max_machines allows ${max_machines}`,
    },
    // Waiting machines hold addresses, too: sessions take them with their machine.
    { code: 'ip_pool_exhausted', more: addresses - running, detail: `there are ${addresses} addresses` },
    ...Object.values(roomOf(config, host)),
  ]
  return rooms.reduce((least, room) => (room.more < least.more ? room : least))
}
