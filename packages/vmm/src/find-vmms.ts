import { readdir, readFile } from 'node:fs/promises'
import { systemErrorCode } from '@anteroom/base'
import { identityOf, type ProcessIdentity } from './process-identity.ts'
import { machineName } from './qemu-arguments.ts'
import type { Accelerator } from './spec.ts'

export interface FoundVmm {
  readonly id: string
  readonly identity: ProcessIdentity
  readonly accelerator: Accelerator
  readonly origin: 'restored' | 'booted'
  readonly commandLine: readonly string[]
}

/** The monitors of one instance that run on this host, found by the name on their command line. */
export async function findVmms(instance: string): Promise<FoundVmm[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map((pid) => recognise(pid, instance)))
  return found.filter((vmm) => vmm !== undefined)
}

async function recognise(pid: number, instance: string): Promise<FoundVmm | undefined> {
  const commandLine = (await commandLineOf(pid)).split('\0')
  const id = /^guest=anteroom-(\w+),/.exec(commandLine[commandLine.indexOf('-name') + 1] ?? '')?.[1]
  if (id === undefined || !commandLine.includes(machineName(instance, id))) return undefined
  const identity = await identityOf(pid)
  const accelerator = commandLine[commandLine.indexOf('-accel') + 1] === 'kvm' ? 'kvm' : 'tcg'
  const origin = commandLine.includes('-incoming') ? 'restored' : 'booted'
  return identity && { id, identity, accelerator, origin, commandLine }
}

const commandLineOf = (pid: number): Promise<string> =>
  readFile(`/proc/${pid}/cmdline`, 'utf8').catch((error: unknown) => {
    // Gone meanwhile, or hidden from us by hidepid and so not ours.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '')) return ''
    throw error
  })
