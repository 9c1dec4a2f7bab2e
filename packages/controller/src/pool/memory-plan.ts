import { AppError } from '@anteroom/base'
import type { Config } from '../config.ts'

/** QEMU's own memory beside the guest's: code, translated blocks (under emulation), device buffers. */
const monitorMiB = 300
/** A machine that was restored and has not run: 22 MiB measured; the rest is room for another host's. */
export const pausedMiB = 50
/** What a running machine holds at the least: 255 MiB measured, of one that is idle. */
const idleMiB = 256

type Sizes = Pick<Config, 'vmm' | 'limits' | 'pool'>

/** What a running machine may come to take. */
export const machineMiB = ({ vmm }: Pick<Config, 'vmm'>): number => vmm.memory_mib + monitorMiB

/** What sessions may yet take of the memory that is free while `running` of them have a machine. The pool leaves it alone. */
export const reservedMiB = (config: Sizes, running: number): number =>
  Math.max(0, config.limits.max_machines * machineMiB(config) - running * idleMiB)

/**
 * The configuration as far as this host's memory allows: fewer machines at a time than configured rather than the kernel's choice
 * of a process to kill; the pool gets what sessions leave. `reduced` says what was reduced and why, for the operator.
 * @throws AppError config_invalid when not even one machine fits
 */
export function fitToMemory<C extends Sizes>(config: C, hostMiB: number): { config: C; reduced: string[] } {
  const { limits, pool } = config
  const needMiB = machineMiB(config)
  const needs = `a machine needs ${needMiB} MiB (vmm.memory_mib ${config.vmm.memory_mib} and ${monitorMiB} for its monitor)`
  const has = `this host has ${hostMiB} MiB`
  if (needMiB > hostMiB) throw new AppError('config_invalid', { detail: `${needs}, ${has}: lower vmm.memory_mib` })
  const reduced: string[] = []
  const machines = Math.min(limits.max_machines, Math.floor(hostMiB / needMiB))
  if (machines < limits.max_machines)
    reduced.push(`limits.max_machines ${limits.max_machines} is taken as ${machines}: ${needs}, ${has}`)

  const mostWaiting = Math.floor((hostMiB - machines * needMiB) / pausedMiB)
  const most = pool.size === 'auto' ? pool.ceiling : pool.size
  if (most <= mostWaiting) return { config: { ...config, limits: { ...limits, max_machines: machines } }, reduced }
  const key = pool.size === 'auto' ? 'pool.ceiling' : 'pool.size'
  reduced.push(
    `${key} ${most} is taken as ${mostWaiting}: beside ${machines} machines of sessions ${has} room for no more waiting ones, of ${pausedMiB} MiB each`,
  )
  return {
    config: {
      ...config,
      limits: { ...limits, max_machines: machines },
      pool: {
        ...pool,
        size: pool.size === 'auto' ? 'auto' : mostWaiting,
        floor: Math.min(pool.floor, mostWaiting),
        ceiling: mostWaiting,
      },
    },
    reduced,
  }
}
