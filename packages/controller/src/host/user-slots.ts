import { createServer } from 'node:net'
import { AppError, type Scope, systemErrorCode } from '@anteroom/base'
import { findVmms } from '@anteroom/vmm'
import { ipv4Range, ipv4Text, overlap } from './ipv4-range.ts'
import { type Slots, slotPorts, slotTable } from './slot.ts'

/**
 * Slot i is an address of 127.0.0.0/8, all of which every Linux host answers (RFC 1122, section 3.2.1.3): nothing is made,
 * and no privilege is needed. The monitor itself forwards the two ports.
 */
export function openUserSlots({ tag, pool }: { readonly tag: string; readonly pool: string }): Slots {
  const range = ipv4Range(pool)
  if (overlap(range, ipv4Range('127.0.0.1')))
    throw new AppError('config_invalid', {
      detail: `network.user_pool ${pool} holds 127.0.0.1, which is the host itself`,
    })
  // Without the first address, which is the network's name everywhere else.
  const { size, at } = slotTable('user', pool, range.last - range.first, (index) => ipv4Text(range.first + 1 + index))
  return {
    kind: 'user',
    size,
    at,
    async prepare(slot, scope) {
      for (const port of slotPorts) {
        if ((await isFree(slot.ip, port, scope)) || (await isForwarded(tag, slot.ip, port))) continue
        throw new AppError('network_setup_failed', { detail: `${slot.ip}:${port} is used by another process` })
      }
    },
    isThere: async () => true,
    async remove() {},
    async list() {
      return []
    },
  }
}

/** Our own machine holds it: the slot was prepared before, and its machine runs. */
const isForwarded = async (tag: string, ip: string, port: number): Promise<boolean> =>
  (await findVmms(tag)).some((vmm) => vmm.commandLine.some((arg) => arg.includes(`hostfwd=tcp:${ip}:${port}-`)))

async function isFree(host: string, port: number, scope: Scope): Promise<boolean> {
  const server = createServer()
  const opened = new Promise<boolean>((resolve, reject) => {
    server.once('error', (error) => (systemErrorCode(error) === 'EADDRINUSE' ? resolve(false) : reject(error)))
    server.listen({ host, port, exclusive: true }, () => resolve(true))
  })
  try {
    return await scope.race(opened)
  } finally {
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
}
