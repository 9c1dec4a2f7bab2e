import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, Scope, systemErrorCode } from '@anteroom/base'
import { confine, release } from './cgroup.ts'
import { end, identityOf, type ProcessIdentity } from './process-identity.ts'
import { fileNames, stateDescriptor, vmmCommand } from './qemu-arguments.ts'
import { qemuVersion } from './qemu-version.ts'
import { openQmp, type QmpClient } from './qmp-client.ts'
import { leaveMemoryOut } from './save-vmm.ts'
import type { VmmOrigin, VmmSpec } from './spec.ts'
import { tailOf } from './tail.ts'
import { yieldToOthers } from './yield-to-others.ts'

export interface Vmm {
  readonly id: string
  readonly identity: ProcessIdentity
}

/** Where a machine's files are. */
export const vmmFiles = (directory: string): Readonly<Record<keyof typeof fileNames, string>> => ({
  qmp: join(directory, fileNames.qmp),
  console: join(directory, fileNames.console),
  log: join(directory, fileNames.log),
  identity: join(directory, fileNames.identity),
  outgoing: join(directory, fileNames.outgoing),
})

/** A healthy QEMU answers within 0.2 s; a host that is busy booting others takes a few seconds. */
const startDeadlineMs = 30_000
/** From the start of QEMU to its answer 35 ms were measured, to a loaded state 75 ms more. */
const askEveryMs = 3

/**
 * Starts a monitor that outlives this process and resolves when the guest's CPUs run, or could, where `paused` is wanted. What
 * was started is ended when that does not happen; the files stay, as evidence.
 * @throws AppError vmm_missing, vmm_exited, deadline_exceeded; snapshot_corrupt when the saved state cannot be loaded
 */
export async function startVmm(spec: VmmSpec, scope: Scope): Promise<Vmm> {
  return await scope.run({ name: `start of machine ${spec.id}`, deadlineMs: startDeadlineMs }, async (scope) => {
    const version = await qemuVersion(spec.binary, scope)
    const child = await spawnDetached(spec, vmmCommand(spec, version))
    const { pid } = child
    const identity = pid === undefined ? undefined : await identityOf(pid)
    if (!identity) throw await exited(spec, child)
    // What it takes until then is not counted: some MiB, and nothing of the guest's.
    const confined =
      spec.limits &&
      confine(spec, identity.pid, spec.limits, scope).catch((error: unknown) =>
        scope.log.debug({ error: String(error) }, 'a monitor is not limited'),
      )
    scope.undo(() => takeBack(spec, identity, scope, confined))
    await writeVmmIdentity(spec.directory, identity)
    await Promise.all([bringUp(spec, child, scope), yieldToOthers(identity.pid, scope), confined])
    return { id: spec.id, identity }
  })
}

/** In a scope of its own: by then that of the start is over. */
async function takeBack(
  spec: VmmSpec,
  identity: ProcessIdentity,
  { log, clock }: Scope,
  confined: Promise<void> | undefined,
): Promise<void> {
  const scope = Scope.root(`end of machine ${spec.id}`, log, clock)
  await end(identity, scope)
  await confined
  if (spec.limits) await release(spec.instance, spec.id, scope)
}

/** undefined when the machine's directory names none that can be read; then `findVmms` still finds it. */
export async function readVmmIdentity(directory: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(vmmFiles(directory).identity, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Whole or not at all: a crash must not leave half an identity. */
export async function writeVmmIdentity(directory: string, identity: ProcessIdentity): Promise<void> {
  const path = vmmFiles(directory).identity
  await writeFile(`${path}.new`, `${JSON.stringify(identity)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/**
 * A session of its own and files for output: neither the end of this process nor a full pipe nor a Ctrl-C in its
 * terminal reaches the machine.
 */
async function spawnDetached(spec: VmmSpec, command: { file: string; args: string[] }): Promise<ChildProcess> {
  await using log = await open(vmmFiles(spec.directory).log, 'a', 0o600)
  await using state = await openState(spec.origin)
  const child = spawn(command.file, command.args, {
    cwd: spec.directory,
    detached: true,
    stdio: ['ignore', log.fd, log.fd, ...(state ? [state.fd] : [])],
  })
  await once(child, 'spawn').catch((error: unknown) => {
    throw new AppError('vmm_exited', {
      detail: `${command.file} could not be started in ${spec.directory}`,
      cause: error,
    })
  })
  child.unref()
  return child
}

/** It becomes the child's `stateDescriptor`. */
async function openState(origin: VmmOrigin): Promise<FileHandle | undefined> {
  if (origin.kind === 'boot') return undefined
  return await open(origin.stateFile).catch((error: unknown) => {
    throw new AppError('snapshot_corrupt', { detail: origin.stateFile, cause: error })
  })
}

async function bringUp(spec: VmmSpec, child: ChildProcess, scope: Scope): Promise<void> {
  const unlessEnded = <T>(attempt: () => Promise<T | undefined>): Promise<T> =>
    scope.until(async () => {
      if (hasEnded(child)) throw await exited(spec, child)
      return await attempt()
    }, askEveryMs)
  await using monitor = await unlessEnded(() => connectMonitor(vmmFiles(spec.directory).qmp, scope))
  if (spec.origin.kind === 'boot') {
    await unlessEnded(async () => (await monitor.execute('query-status')).running || undefined)
    return
  }
  try {
    await leaveMemoryOut(monitor)
    await monitor.execute('migrate-incoming', { uri: `fd:${stateDescriptor}` })
    await scope.until(
      async () => ((await monitor.execute('query-status')).status === 'paused' ? true : undefined),
      askEveryMs,
    )
  } catch (error) {
    scope.throwIfOver()
    // It ends when it cannot load; its last words say why.
    const { detail } = await exited(spec, child)
    throw new AppError('snapshot_corrupt', { detail: `${spec.origin.stateFile}: ${detail}`, cause: error })
  }
  if (spec.wanted === 'running') await monitor.execute('cont')
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** undefined while the monitor does not answer yet. */
async function connectMonitor(path: string, scope: Scope): Promise<QmpClient | undefined> {
  try {
    // Made by QEMU with the caller's umask; the directory's mode 0700 protects it until here.
    await chmod(path, 0o600)
    return await openQmp(path, scope)
  } catch {
    scope.throwIfOver()
    return undefined
  }
}

async function exited(spec: VmmSpec, child: ChildProcess): Promise<AppError> {
  // Gone from /proc a moment before this process is told.
  if (!hasEnded(child)) await once(child, 'exit')
  const { log, console } = vmmFiles(spec.directory)
  const how = child.signalCode ?? `status ${child.exitCode}`
  const said = (await tailOf(log, 2_000)).trim() || (await tailOf(console, 2_000)).trim() || 'it said nothing'
  return new AppError('vmm_exited', { detail: `the monitor ended with ${how}: ${said}` })
}
