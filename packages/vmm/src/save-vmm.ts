import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, chown } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { AppError, type Scope } from '@anteroom/base'
import { deviceNames, fileNames } from './qemu-arguments.ts'
import { openQmp, type QmpClient } from './qmp-client.ts'
import { withShortPath } from './short-path.ts'
import type { VmmSpec } from './spec.ts'
import { vmmFiles } from './start-vmm.ts'

/** Under a megabyte of processors and devices; 30 ms were measured. */
const saveDeadlineMs = 30_000

/** The memory is a file that stays where it is; only the rest goes through the stream. Both sides must want it so. */
export const leaveMemoryOut = (monitor: QmpClient): Promise<unknown> =>
  monitor.execute('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: true }] })

/**
 * Stops a machine that was booted with a memory file and writes the rest of it to `stateFile`. Both files are whole once the
 * process has ended, which is the caller's to do. The machine's directory must let its user pass (mode 0711).
 *
 * The network backend goes first: its state is that of one process on one host, and without it a machine can be restored on
 * either kind of slot. The card stays, with its link up, and the guest notices nothing.
 * @throws AppError deadline_exceeded, internal with the monitor's reason
 */
export async function saveVmm(
  { directory, runAs }: Pick<VmmSpec, 'directory' | 'runAs'>,
  stateFile: string,
  scope: Scope,
): Promise<void> {
  await scope.run({ name: 'saving a machine', deadlineMs: saveDeadlineMs }, async (scope) => {
    const { qmp, outgoing } = vmmFiles(directory)
    await using monitor = await openQmp(qmp, scope)
    await monitor.execute('stop')
    await monitor.execute('netdev_del', { id: deviceNames.networkBackend })
    await monitor.execute('set_link', { name: deviceNames.networkCard, up: true })
    await leaveMemoryOut(monitor)
    // The monitor may open no file any more; it connects to a socket that only its user may connect to.
    const server = await withShortPath(outgoing, (path) => listen(path, scope))
    scope.defer(() => void server.close())
    await chmod(outgoing, 0o600)
    if (runAs !== null) await chown(outgoing, runAs, runAs)
    const connected = once(server, 'connection') as Promise<[Socket]>
    await monitor.execute('migrate', { uri: `unix:${fileNames.outgoing}` })
    const [stream] = await scope.race(connected)
    await pipeline(stream, createWriteStream(stateFile, { mode: 0o600 }), { signal: scope.signal })
    await scope.until(() => isComplete(monitor), 5)
  })
}

async function listen(path: string, scope: Scope): Promise<Server> {
  const server = createServer()
  server.listen(path)
  await scope.race(once(server, 'listening'))
  return server
}

async function isComplete(monitor: QmpClient): Promise<true | undefined> {
  const { status, 'error-desc': reason } = await monitor.execute('query-migrate')
  if (status === 'failed' || status === 'cancelled')
    throw new AppError('internal', { detail: `the monitor could not save the machine: ${reason ?? status}` })
  return status === 'completed' || undefined
}
