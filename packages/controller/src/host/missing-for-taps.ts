import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { CommandError, runCommand, type Scope } from '@anteroom/base'
import { ipCommand, path } from './ip-command.ts'

/** include/uapi/linux/capability.h: links and rules; namespaces. */
const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const

/** What this process lacks for tap slots, in words; empty when nothing is. Whether they work is seen by `measureTap` only. */
export async function missingForTaps(scope: Scope): Promise<string[]> {
  const status = await readFile('/proc/self/status', 'latin1')
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const lacked = Object.entries(capabilities).filter(([, bit]) => (effective & (1n << BigInt(bit))) === 0n)
  const missing = await Promise.all([
    lackOf(access('/dev/net/tun', constants.R_OK | constants.W_OK), '/dev/net/tun cannot be opened'),
    lackOf(ipCommand(scope, ['-V']), 'ip (iproute2) does not run'),
    lackOf(
      runCommand(scope, 'nft', ['--version'], { env: { ...process.env, PATH: path } }),
      'nft (nftables) does not run',
    ),
  ])
  return [...lacked.map(([name]) => `no ${name}`), ...missing.flat()]
}

async function lackOf(attempt: Promise<unknown>, words: string): Promise<string[]> {
  try {
    await attempt
    return []
  } catch (error) {
    if (error instanceof CommandError || (error instanceof Error && 'code' in error && 'syscall' in error))
      return [words]
    throw error
  }
}
