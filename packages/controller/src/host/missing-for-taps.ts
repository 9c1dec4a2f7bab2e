import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { CommandError, runCommand, type Scope } from '@anteroom/base'
import { ipCommand, path } from './ip-command.ts'

/** include/uapi/linux/capability.h: links and rules; namespaces. */
const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const

/** What this process lacks for tap slots, in words; empty when nothing is. Whether they work is seen by `measureTap` only. */
export async function missingForTaps(scope: Scope): Promise<string[]> {
  const missing = await Promise.all([
    lackedCapabilities(['CAP_NET_ADMIN', 'CAP_SYS_ADMIN']),
    lackOf(access('/dev/net/tun', constants.R_OK | constants.W_OK), '/dev/net/tun cannot be opened'),
    lackOf(ipCommand(scope, ['-V']), 'ip (iproute2) does not run'),
    lackOfNft(scope),
  ])
  return missing.flat()
}

/** What this process lacks for the firewall, in words. Whether it can be set is seen when it is. */
export async function missingForFirewall(scope: Scope): Promise<string[]> {
  return (await Promise.all([lackedCapabilities(['CAP_NET_ADMIN']), lackOfNft(scope)])).flat()
}

const lackOfNft = (scope: Scope): Promise<string[]> =>
  lackOf(
    runCommand(scope, 'nft', ['--version'], { env: { ...process.env, PATH: path } }),
    'nft (nftables) does not run',
  )

async function lackedCapabilities(wanted: readonly (keyof typeof capabilities)[]): Promise<string[]> {
  const status = await readFile('/proc/self/status', 'latin1')
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return wanted.filter((name) => (effective & (1n << BigInt(capabilities[name]))) === 0n).map((name) => `no ${name}`)
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
